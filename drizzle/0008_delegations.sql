CREATE TABLE `delegations` (
	`place` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`chain` integer NOT NULL,
	`owner` text NOT NULL,
	`nonce` integer NOT NULL,
	`subscription` integer NOT NULL,
	`linked_block` integer,
	`linked_hash` text,
	`expiry` integer NOT NULL,
	`v` integer NOT NULL,
	`r` text NOT NULL,
	`s` text NOT NULL,
	`digest` text NOT NULL,
	`data_signed` integer NOT NULL,
	`data` text NOT NULL,
	`data_bytes` integer NOT NULL,
	`fingerprint` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_id` ON `delegations` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_nonce` ON `delegations` (`chain`,`owner`,`nonce`);--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_subscription` ON `delegations` (`chain`,`subscription`);--> statement-breakpoint
CREATE INDEX `delegations_linked` ON `delegations` (`chain`,`linked_block`) WHERE linked_block is not null;
--> statement-breakpoint
DROP TRIGGER `deliveries_job_ended`;--> statement-breakpoint
-- A job need not know of chains: its end is noted here. Input may have come over HTTP: where the answer goes tells.
CREATE TRIGGER `deliveries_job_ended` AFTER UPDATE OF `state` ON `jobs`
	WHEN NEW.destination = 0 AND OLD.state IN ('queued', 'running') AND NEW.state NOT IN ('queued', 'running')
BEGIN
	UPDATE deliveries SET
		state = CASE NEW.state WHEN 'success' THEN 'computed' ELSE 'dropped' END,
		reason = CASE NEW.state WHEN 'success' THEN NULL ELSE coalesce(NEW.error_code, NEW.state) END,
		message = CASE NEW.state WHEN 'success' THEN NULL ELSE NEW.error_message END
		WHERE job = NEW.id AND state = 'computing';
END;
