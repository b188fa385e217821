CREATE TABLE `proofs` (
	`chain` integer NOT NULL,
	`subscription` integer NOT NULL,
	`interval` integer NOT NULL,
	`node` text NOT NULL,
	`state` text NOT NULL,
	`due_at` integer,
	`looks` integer DEFAULT 0 NOT NULL,
	`looked_block` integer NOT NULL,
	`expires_at` integer,
	`refunds` integer DEFAULT 0 NOT NULL,
	`payout` text,
	`tx` text,
	`problem` text,
	`settled_by` text,
	`settled_hash` text,
	`settled_block` integer,
	PRIMARY KEY(`chain`, `subscription`, `interval`)
);
--> statement-breakpoint
CREATE INDEX `proofs_due` ON `proofs` (`chain`,`due_at`) WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX `proofs_settled` ON `proofs` (`chain`,`settled_block`) WHERE settled_block is not null;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `stake_token` text;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `stake` text;--> statement-breakpoint
CREATE INDEX `deliveries_staked` ON `deliveries` (`chain`,`stake_token`,`stake`) WHERE stake_token is not null and state in ('computing', 'computed', 'sending');