CREATE TABLE `answers` (
	`question` text NOT NULL,
	`instance` text NOT NULL,
	`answer` text NOT NULL,
	PRIMARY KEY(`question`, `instance`)
);
--> statement-breakpoint
CREATE TABLE `instances` (
	`id` text PRIMARY KEY NOT NULL,
	`runner` text NOT NULL,
	`version` text NOT NULL,
	`registered_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	`claim_seq` integer DEFAULT 0 NOT NULL,
	`claim_token` text,
	`ready` text DEFAULT '[]' NOT NULL,
	`health` text DEFAULT '[]' NOT NULL
);
--> statement-breakpoint
CREATE INDEX `instances_runner` ON `instances` (`runner`);--> statement-breakpoint
CREATE INDEX `instances_seen` ON `instances` (`last_seen_at`);--> statement-breakpoint
CREATE TABLE `jobs` (
	`id` text PRIMARY KEY NOT NULL,
	`owner` text NOT NULL,
	`origin` text DEFAULT 'queue' NOT NULL,
	`route` text NOT NULL,
	`state` text NOT NULL,
	`priority` integer DEFAULT 0 NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`tries` integer DEFAULT 0 NOT NULL,
	`started_attempt` integer DEFAULT 0 NOT NULL,
	`runner` text,
	`instance` text,
	`lease_expires_at` integer,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`claimed_at` integer,
	`started_at` integer,
	`finished_at` integer,
	`source` integer DEFAULT 1 NOT NULL,
	`destination` integer DEFAULT 1 NOT NULL,
	`requires_proof` integer DEFAULT 0 NOT NULL,
	`error_code` text,
	`error_message` text,
	`data_bytes` integer DEFAULT 0 NOT NULL,
	`data_parts` integer DEFAULT 0 NOT NULL,
	`result_bytes` integer DEFAULT 0 NOT NULL,
	`result_parts` integer DEFAULT 0 NOT NULL,
	`intermediate_bytes` integer DEFAULT 0 NOT NULL,
	`intermediate_parts` integer DEFAULT 0 NOT NULL,
	`data` text,
	`result` text,
	`intermediate` text
);
--> statement-breakpoint
CREATE INDEX `jobs_claim` ON `jobs` (`route`,"priority" desc,`id`,`expires_at`) WHERE state = 'queued';--> statement-breakpoint
CREATE INDEX `jobs_waiting` ON `jobs` (`expires_at`) WHERE state in ('receiving', 'queued');--> statement-breakpoint
CREATE INDEX `jobs_lease` ON `jobs` (`lease_expires_at`) WHERE state = 'running';--> statement-breakpoint
CREATE INDEX `jobs_instance` ON `jobs` (`instance`) WHERE state = 'running';--> statement-breakpoint
CREATE INDEX `jobs_finished` ON `jobs` (`finished_at`) WHERE finished_at is not null;--> statement-breakpoint
CREATE INDEX `jobs_owner` ON `jobs` (`owner`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_owner_ended` ON `jobs` (`owner`,`id`) WHERE state not in ('queued', 'running', 'receiving');--> statement-breakpoint
CREATE INDEX `jobs_owner_pending` ON `jobs` (`owner`,`id`) WHERE state in ('queued', 'running');--> statement-breakpoint
CREATE TABLE `parts` (
	`job` text NOT NULL,
	`kind` text NOT NULL,
	`attempt` integer NOT NULL,
	`seq` integer NOT NULL,
	`bytes` blob NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `parts_place` ON `parts` (`job`,`kind`,`attempt`,`seq`);--> statement-breakpoint
CREATE TABLE `policy` (
	`id` integer PRIMARY KEY NOT NULL,
	`epoch` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `questions` (
	`id` text PRIMARY KEY NOT NULL,
	`model_id` text,
	`asked_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `questions_asked` ON `questions` (`asked_at`);--> statement-breakpoint
CREATE TABLE `queue_counts` (
	`owner` text PRIMARY KEY NOT NULL,
	`queued` integer NOT NULL,
	`running` integer NOT NULL,
	`bytes` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `queued_routes` (
	`route` text PRIMARY KEY NOT NULL,
	`queued` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `runners` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`public_key` text NOT NULL,
	`mode` text DEFAULT 'run' NOT NULL,
	`enrolled_at` integer NOT NULL,
	`revoked_at` integer,
	`containers` text DEFAULT '[]' NOT NULL
);
