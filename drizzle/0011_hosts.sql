ALTER TABLE `instances` ADD `host` text;--> statement-breakpoint
ALTER TABLE `instances` ADD `labels` text;--> statement-breakpoint
ALTER TABLE `instances` ADD `gpu_labels` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `images` text;--> statement-breakpoint
ALTER TABLE `queued_routes` ADD `opener` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `labels` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `runners` ADD `gpu_labels` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
DROP TRIGGER `policy_runner_update`;
--> statement-breakpoint
CREATE TRIGGER `policy_runner_update` AFTER UPDATE ON `runners`
	WHEN OLD.containers IS NOT NEW.containers OR OLD.labels IS NOT NEW.labels OR OLD.gpu_labels IS NOT NEW.gpu_labels
		OR OLD.revoked_at IS NOT NEW.revoked_at OR OLD.public_key IS NOT NEW.public_key
BEGIN
	UPDATE policy SET epoch = epoch + 1;
END;
--> statement-breakpoint
DROP TRIGGER `jobs_counted_insert`;
--> statement-breakpoint
CREATE TRIGGER `jobs_counted_insert` AFTER INSERT ON `jobs` WHEN NEW.origin = 'queue' AND NEW.state IN ('receiving', 'queued')
BEGIN
	INSERT INTO queue_counts (owner, queued, running, bytes) VALUES (NEW.owner, 1, 0, NEW.data_bytes), ('*', 1, 0, NEW.data_bytes)
		ON CONFLICT (owner) DO UPDATE SET queued = queued + 1, bytes = bytes + excluded.bytes;
	INSERT INTO queued_routes (route, queued, opener)
		SELECT NEW.route, 1, iif(instr(NEW.route, ',') OR instr(NEW.route, ' '), NEW.owner, NULL) WHERE NEW.state = 'queued'
		ON CONFLICT (route) DO UPDATE SET queued = queued + 1;
END;
--> statement-breakpoint
DROP TRIGGER `jobs_counted_update`;
--> statement-breakpoint
CREATE TRIGGER `jobs_counted_update` AFTER UPDATE OF `state` ON `jobs` WHEN NEW.origin = 'queue' AND OLD.state <> NEW.state
BEGIN
	UPDATE queue_counts SET
		queued = queued + (NEW.state IN ('receiving', 'queued')) - (OLD.state IN ('receiving', 'queued')),
		running = running + (NEW.state = 'running') - (OLD.state = 'running'),
		bytes = bytes + NEW.data_bytes * (NEW.state IN ('receiving', 'queued')) - OLD.data_bytes * (OLD.state IN ('receiving', 'queued'))
		WHERE owner IN (NEW.owner, '*');
	DELETE FROM queue_counts WHERE owner = NEW.owner AND queued <= 0 AND running <= 0;
	INSERT INTO queued_routes (route, queued, opener)
		SELECT NEW.route, 1, iif(instr(NEW.route, ',') OR instr(NEW.route, ' '), NEW.owner, NULL) WHERE NEW.state = 'queued'
		ON CONFLICT (route) DO UPDATE SET queued = queued + 1;
	UPDATE queued_routes SET queued = queued - 1 WHERE OLD.state = 'queued' AND route = OLD.route;
	DELETE FROM queued_routes WHERE OLD.state = 'queued' AND route = OLD.route AND queued <= 0;
END;
