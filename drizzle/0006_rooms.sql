CREATE TABLE `delegation_counts` (
	`chain` integer NOT NULL,
	`owner` text NOT NULL,
	`waiting` integer NOT NULL,
	`bytes` integer NOT NULL,
	PRIMARY KEY(`chain`, `owner`)
);
--> statement-breakpoint
CREATE TABLE `delegation_shares` (
	`place` integer PRIMARY KEY NOT NULL,
	`chain` integer NOT NULL,
	`owner` text NOT NULL,
	`waits` integer NOT NULL,
	`bytes` integer NOT NULL,
	`created_at` integer NOT NULL,
	`over_since` integer
);
--> statement-breakpoint
CREATE INDEX `delegation_shares_waiting` ON `delegation_shares` (`chain`,`created_at`) WHERE waits = 1;--> statement-breakpoint
CREATE INDEX `delegation_shares_over` ON `delegation_shares` (`chain`,`over_since`) WHERE over_since is not null and waits = 0;--> statement-breakpoint
CREATE INDEX `subscriptions_kept` ON `subscriptions` (`chain`,`kept_since`) WHERE state = 'refused' and kept_since is not null;
--> statement-breakpoint
UPDATE `subscriptions` SET kept_since = created_at WHERE state = 'refused' AND id < 0;
--> statement-breakpoint
INSERT INTO delegation_shares (place, chain, owner, waits, bytes, created_at, over_since)
	SELECT place, d.chain, d.owner, waits, iif(waits OR state = 'active', data_bytes, 0), created_at, iif(state = 'ended', kept_since, NULL)
	FROM (SELECT place, delegations.chain AS chain, delegations.owner AS owner, data_bytes, delegations.created_at AS created_at, state, kept_since,
		subscription < 0 AND (coalesce(state, '') = 'active' OR EXISTS (SELECT 1 FROM deliveries
			WHERE deliveries.chain = delegations.chain AND deliveries.subscription = delegations.subscription AND interval > 0
				AND deliveries.state <> 'dropped')) AS waits
		FROM delegations LEFT JOIN subscriptions ON subscriptions.chain = delegations.chain AND subscriptions.id = delegations.subscription) AS d;
--> statement-breakpoint
INSERT INTO delegation_counts (chain, owner, waiting, bytes)
	SELECT chain, owner, sum(waits), sum(bytes) FROM delegation_shares GROUP BY chain, owner HAVING sum(waits) + sum(bytes) > 0
	UNION ALL SELECT chain, '*', sum(waits), sum(bytes) FROM delegation_shares GROUP BY chain;
--> statement-breakpoint
-- What is new waits; its subscription is written after it.
CREATE TRIGGER `delegations_shared_insert` AFTER INSERT ON `delegations`
BEGIN
	INSERT INTO delegation_shares (place, chain, owner, waits, bytes, created_at)
		VALUES (NEW.place, NEW.chain, NEW.owner, NEW.subscription < 0, NEW.data_bytes, NEW.created_at);
END;
--> statement-breakpoint
-- It was created, or that was undone; or its data was forgotten.
CREATE TRIGGER `delegations_shared_update` AFTER UPDATE OF `subscription`, `data_bytes` ON `delegations`
BEGIN
	UPDATE delegation_shares SET
		waits = NEW.subscription < 0 AND (EXISTS (SELECT 1 FROM subscriptions WHERE chain = NEW.chain AND id = NEW.subscription AND state = 'active') OR EXISTS (
			SELECT 1 FROM deliveries WHERE chain = NEW.chain AND subscription = NEW.subscription AND interval > 0 AND state <> 'dropped')),
		bytes = NEW.data_bytes,
		over_since = (SELECT kept_since FROM subscriptions WHERE chain = NEW.chain AND id = NEW.subscription AND state = 'ended' AND NEW.data_bytes > 0)
		WHERE place = NEW.place;
	UPDATE delegation_shares SET bytes = 0
		WHERE place = NEW.place AND waits = 0 AND NOT EXISTS (
			SELECT 1 FROM subscriptions WHERE chain = NEW.chain AND id = NEW.subscription AND state = 'active');
END;
--> statement-breakpoint
CREATE TRIGGER `delegations_shared_delete` AFTER DELETE ON `delegations`
BEGIN
	DELETE FROM delegation_shares WHERE place = OLD.place;
END;
--> statement-breakpoint
CREATE TRIGGER `subscriptions_shared_update` AFTER UPDATE OF `state` ON `subscriptions` WHEN OLD.state <> NEW.state
BEGIN
	UPDATE delegation_shares SET
		waits = NEW.id < 0 AND (NEW.state = 'active' OR EXISTS (
			SELECT 1 FROM deliveries WHERE chain = NEW.chain AND subscription = NEW.id AND interval > 0 AND state <> 'dropped')),
		over_since = iif(NEW.state = 'ended', NEW.kept_since, NULL)
		WHERE place = (SELECT place FROM delegations WHERE chain = NEW.chain AND subscription = NEW.id);
	UPDATE delegation_shares SET
		bytes = iif(waits OR NEW.state = 'active', (SELECT data_bytes FROM delegations WHERE place = delegation_shares.place), 0)
		WHERE place = (SELECT place FROM delegations WHERE chain = NEW.chain AND subscription = NEW.id);
END;
--> statement-breakpoint
-- What was its last hope, or is one again.
CREATE TRIGGER `deliveries_shared_update` AFTER UPDATE OF `state` ON `deliveries`
	WHEN NEW.subscription < 0 AND (OLD.state = 'dropped') <> (NEW.state = 'dropped')
BEGIN
	UPDATE delegation_shares SET
		waits = EXISTS (SELECT 1 FROM subscriptions WHERE chain = NEW.chain AND id = NEW.subscription AND state = 'active') OR EXISTS (
			SELECT 1 FROM deliveries WHERE chain = NEW.chain AND subscription = NEW.subscription AND interval > 0 AND state <> 'dropped')
		WHERE place = (SELECT place FROM delegations WHERE chain = NEW.chain AND subscription = NEW.subscription);
	UPDATE delegation_shares SET
		bytes = iif(waits, (SELECT data_bytes FROM delegations WHERE place = delegation_shares.place), 0)
		WHERE place = (SELECT place FROM delegations WHERE chain = NEW.chain AND subscription = NEW.subscription);
END;
--> statement-breakpoint
CREATE TRIGGER `delegation_shares_counted_insert` AFTER INSERT ON `delegation_shares`
BEGIN
	INSERT INTO delegation_counts (chain, owner, waiting, bytes)
		VALUES (NEW.chain, NEW.owner, NEW.waits, NEW.bytes), (NEW.chain, '*', NEW.waits, NEW.bytes)
		ON CONFLICT (chain, owner) DO UPDATE SET waiting = waiting + excluded.waiting, bytes = bytes + excluded.bytes;
END;
--> statement-breakpoint
CREATE TRIGGER `delegation_shares_counted_update` AFTER UPDATE OF `waits`, `bytes` ON `delegation_shares`
	WHEN OLD.waits <> NEW.waits OR OLD.bytes <> NEW.bytes
BEGIN
	INSERT INTO delegation_counts (chain, owner, waiting, bytes)
		VALUES (NEW.chain, NEW.owner, NEW.waits - OLD.waits, NEW.bytes - OLD.bytes), (NEW.chain, '*', NEW.waits - OLD.waits, NEW.bytes - OLD.bytes)
		ON CONFLICT (chain, owner) DO UPDATE SET waiting = waiting + excluded.waiting, bytes = bytes + excluded.bytes;
	DELETE FROM delegation_counts WHERE chain = NEW.chain AND owner = NEW.owner AND waiting <= 0 AND bytes <= 0;
END;
--> statement-breakpoint
CREATE TRIGGER `delegation_shares_counted_delete` AFTER DELETE ON `delegation_shares`
BEGIN
	UPDATE delegation_counts SET waiting = waiting - OLD.waits, bytes = bytes - OLD.bytes WHERE chain = OLD.chain AND owner IN (OLD.owner, '*');
	DELETE FROM delegation_counts WHERE chain = OLD.chain AND owner = OLD.owner AND waiting <= 0 AND bytes <= 0;
END;
