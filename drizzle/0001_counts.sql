-- Counters that the hot statements need, kept by triggers; `src/edge/db/schema.ts` says why.
CREATE TRIGGER `jobs_counted_insert` AFTER INSERT ON `jobs` WHEN NEW.origin = 'queue' AND NEW.state IN ('receiving', 'queued')
BEGIN
	INSERT INTO queue_counts (owner, queued, running, bytes) VALUES (NEW.owner, 1, 0, NEW.data_bytes), ('*', 1, 0, NEW.data_bytes)
		ON CONFLICT (owner) DO UPDATE SET queued = queued + 1, bytes = bytes + excluded.bytes;
	INSERT INTO queued_routes (route, queued) SELECT NEW.route, 1 WHERE NEW.state = 'queued'
		ON CONFLICT (route) DO UPDATE SET queued = queued + 1;
END;
--> statement-breakpoint
CREATE TRIGGER `jobs_counted_update` AFTER UPDATE OF `state` ON `jobs` WHEN NEW.origin = 'queue' AND OLD.state <> NEW.state
BEGIN
	UPDATE queue_counts SET
		queued = queued + (NEW.state IN ('receiving', 'queued')) - (OLD.state IN ('receiving', 'queued')),
		running = running + (NEW.state = 'running') - (OLD.state = 'running'),
		bytes = bytes + NEW.data_bytes * (NEW.state IN ('receiving', 'queued')) - OLD.data_bytes * (OLD.state IN ('receiving', 'queued'))
		WHERE owner IN (NEW.owner, '*');
	DELETE FROM queue_counts WHERE owner = NEW.owner AND queued <= 0 AND running <= 0;
	INSERT INTO queued_routes (route, queued) SELECT NEW.route, 1 WHERE NEW.state = 'queued'
		ON CONFLICT (route) DO UPDATE SET queued = queued + 1;
	UPDATE queued_routes SET queued = queued - 1 WHERE OLD.state = 'queued' AND route = OLD.route;
	DELETE FROM queued_routes WHERE OLD.state = 'queued' AND route = OLD.route AND queued <= 0;
END;
--> statement-breakpoint
CREATE TRIGGER `jobs_counted_delete` AFTER DELETE ON `jobs` WHEN OLD.origin = 'queue' AND OLD.state IN ('receiving', 'queued', 'running')
BEGIN
	UPDATE queue_counts SET
		queued = queued - (OLD.state IN ('receiving', 'queued')),
		running = running - (OLD.state = 'running'),
		bytes = bytes - OLD.data_bytes * (OLD.state IN ('receiving', 'queued'))
		WHERE owner IN (OLD.owner, '*');
	DELETE FROM queue_counts WHERE owner = OLD.owner AND queued <= 0 AND running <= 0;
	UPDATE queued_routes SET queued = queued - 1 WHERE OLD.state = 'queued' AND route = OLD.route;
	DELETE FROM queued_routes WHERE OLD.state = 'queued' AND route = OLD.route AND queued <= 0;
END;
--> statement-breakpoint
INSERT INTO policy (id, epoch) VALUES (1, 1);
--> statement-breakpoint
CREATE TRIGGER `policy_runner_insert` AFTER INSERT ON `runners`
BEGIN
	UPDATE policy SET epoch = epoch + 1;
END;
--> statement-breakpoint
CREATE TRIGGER `policy_runner_update` AFTER UPDATE ON `runners`
	WHEN OLD.containers IS NOT NEW.containers OR OLD.revoked_at IS NOT NEW.revoked_at OR OLD.public_key IS NOT NEW.public_key
BEGIN
	UPDATE policy SET epoch = epoch + 1;
END;
