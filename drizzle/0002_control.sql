CREATE TABLE `idempotency` (
	`owner` text NOT NULL,
	`key` text NOT NULL,
	`item` integer NOT NULL,
	`fingerprint` text NOT NULL,
	`job` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `idempotency_place` ON `idempotency` (`owner`,`key`,`item`);--> statement-breakpoint
CREATE INDEX `idempotency_created` ON `idempotency` (`created_at`);--> statement-breakpoint
DROP INDEX `jobs_claim`;--> statement-breakpoint
DROP INDEX `jobs_owner`;--> statement-breakpoint
DROP INDEX `jobs_owner_ended`;--> statement-breakpoint
DROP INDEX `jobs_owner_pending`;--> statement-breakpoint
ALTER TABLE `jobs` ADD `timeout_ms` integer;--> statement-breakpoint
ALTER TABLE `jobs` ADD `watched` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `fingerprint` text;--> statement-breakpoint
CREATE INDEX `jobs_claim` ON `jobs` (`route`,"priority" desc,`created_at`,`id`,`expires_at`) WHERE state = 'queued';--> statement-breakpoint
CREATE INDEX `jobs_owner` ON `jobs` (`owner`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_owner_ended` ON `jobs` (`owner`,`created_at`,`id`) WHERE state not in ('queued', 'running', 'receiving');--> statement-breakpoint
CREATE INDEX `jobs_owner_pending` ON `jobs` (`owner`,`created_at`,`id`) WHERE state in ('queued', 'running');