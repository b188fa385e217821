CREATE TABLE `consumer_changes` (
	`chain` integer NOT NULL,
	`source` text NOT NULL,
	`owner` text NOT NULL,
	`block` integer NOT NULL,
	`hour` integer NOT NULL,
	`paid` integer DEFAULT 0 NOT NULL,
	`unpaid` integer DEFAULT 0 NOT NULL,
	`reverted` integer DEFAULT 0 NOT NULL,
	`dropped` integer DEFAULT 0 NOT NULL,
	`gas` integer DEFAULT 0 NOT NULL,
	`unpaid_gas` integer DEFAULT 0 NOT NULL,
	`wasted_gas` integer DEFAULT 0 NOT NULL,
	`wasted_gwei` integer DEFAULT 0 NOT NULL,
	`wasted_wei` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`chain`, `source`, `owner`)
);
--> statement-breakpoint
CREATE TABLE `consumer_hours` (
	`chain` integer NOT NULL,
	`owner` text NOT NULL,
	`hour` integer NOT NULL,
	`reverted` integer DEFAULT 0 NOT NULL,
	`dropped` integer DEFAULT 0 NOT NULL,
	`wasted_gas` integer DEFAULT 0 NOT NULL,
	`unpaid_gas` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`chain`, `owner`, `hour`)
);
--> statement-breakpoint
CREATE INDEX `consumer_hours_over` ON `consumer_hours` (`chain`,`hour`);--> statement-breakpoint
CREATE TABLE `consumers` (
	`chain` integer NOT NULL,
	`owner` text NOT NULL,
	`paid` integer DEFAULT 0 NOT NULL,
	`unpaid` integer DEFAULT 0 NOT NULL,
	`reverted` integer DEFAULT 0 NOT NULL,
	`dropped` integer DEFAULT 0 NOT NULL,
	`wasted_gas` integer DEFAULT 0 NOT NULL,
	`wasted_gwei` integer DEFAULT 0 NOT NULL,
	`wasted_wei` integer DEFAULT 0 NOT NULL,
	`unpaid_gas` integer DEFAULT 0 NOT NULL,
	`last_gas` integer,
	`first_seen` integer NOT NULL,
	`last_seen` integer NOT NULL,
	PRIMARY KEY(`chain`, `owner`)
);
--> statement-breakpoint
ALTER TABLE `chains` ADD `judged_config` text;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `gas` integer;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `min_payout` text;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `send_block` integer;