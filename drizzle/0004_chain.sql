CREATE TABLE `chain_blocks` (
	`chain` integer NOT NULL,
	`number` integer NOT NULL,
	`hash` text NOT NULL,
	PRIMARY KEY(`chain`, `number`)
);
--> statement-breakpoint
CREATE TABLE `chains` (
	`id` integer PRIMARY KEY NOT NULL,
	`coordinator` text NOT NULL,
	`version` integer DEFAULT 0 NOT NULL,
	`next_id` integer NOT NULL,
	`head_number` integer NOT NULL,
	`head_hash` text NOT NULL,
	`judged_epoch` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
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
	`data_bytes` integer NOT NULL,
	`fingerprint` text NOT NULL,
	`created_at` integer NOT NULL,
	`data` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_id` ON `delegations` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_nonce` ON `delegations` (`chain`,`owner`,`nonce`);--> statement-breakpoint
CREATE UNIQUE INDEX `delegations_subscription` ON `delegations` (`chain`,`subscription`);--> statement-breakpoint
CREATE INDEX `delegations_waiting` ON `delegations` (`chain`,`owner`,`data_bytes`,`subscription`) WHERE subscription < 0;--> statement-breakpoint
CREATE INDEX `delegations_linked` ON `delegations` (`chain`,`linked_block`) WHERE linked_block is not null;--> statement-breakpoint
CREATE TABLE `deliveries` (
	`chain` integer NOT NULL,
	`subscription` integer NOT NULL,
	`interval` integer NOT NULL,
	`job` text NOT NULL,
	`state` text NOT NULL,
	`reason` text,
	`message` text,
	`tries` integer DEFAULT 0 NOT NULL,
	`not_before` integer DEFAULT 0 NOT NULL,
	`deadline` integer,
	`dropped_block` integer,
	`tx` text,
	`created_at` integer NOT NULL,
	`call` text,
	PRIMARY KEY(`chain`, `subscription`, `interval`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `deliveries_job` ON `deliveries` (`job`);--> statement-breakpoint
CREATE INDEX `deliveries_computed` ON `deliveries` (`chain`,`not_before`) WHERE state = 'computed';--> statement-breakpoint
CREATE INDEX `deliveries_tx` ON `deliveries` (`tx`) WHERE tx is not null;--> statement-breakpoint
CREATE INDEX `deliveries_dropped` ON `deliveries` (`chain`,`dropped_block`) WHERE dropped_block is not null;--> statement-breakpoint
CREATE INDEX `deliveries_over` ON `deliveries` (`chain`,`created_at`) WHERE state in ('final', 'dropped');--> statement-breakpoint
CREATE TABLE `raws` (
	`hash` text PRIMARY KEY NOT NULL,
	`tx` text NOT NULL,
	`seq` integer NOT NULL,
	`max_fee` text NOT NULL,
	`priority_fee` text NOT NULL,
	`created_at` integer NOT NULL,
	`raw` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `raws_place` ON `raws` (`tx`,`seq`);--> statement-breakpoint
CREATE TABLE `subscriptions` (
	`chain` integer NOT NULL,
	`id` integer NOT NULL,
	`state` text NOT NULL,
	`due_at` integer,
	`next_interval` integer DEFAULT 1 NOT NULL,
	`floor_interval` integer DEFAULT 1 NOT NULL,
	`tries` integer DEFAULT 0 NOT NULL,
	`epoch` integer DEFAULT 0 NOT NULL,
	`reason` text,
	`message` text,
	`params` text,
	`seen_block` integer NOT NULL,
	`seen_hash` text NOT NULL,
	`decided_block` integer,
	`created_at` integer NOT NULL,
	`kept_since` integer,
	`owner` text NOT NULL,
	`active_at` integer NOT NULL,
	`period` integer NOT NULL,
	`frequency` integer NOT NULL,
	`redundancy` integer NOT NULL,
	`container_id` text NOT NULL,
	`route` text,
	`lazy` integer NOT NULL,
	`verifier` text NOT NULL,
	`payment_amount` text NOT NULL,
	`payment_token` text NOT NULL,
	`wallet` text NOT NULL,
	`expires_at` integer DEFAULT 0 NOT NULL,
	`max_fee` integer DEFAULT 0 NOT NULL,
	`prepaid` integer DEFAULT 0 NOT NULL,
	`committed` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`chain`, `id`)
);
--> statement-breakpoint
CREATE INDEX `subscriptions_due` ON `subscriptions` (`chain`,`due_at`,`id`) WHERE state = 'active';--> statement-breakpoint
CREATE INDEX `subscriptions_refused` ON `subscriptions` (`chain`,`epoch`,`id`) WHERE state = 'refused';--> statement-breakpoint
CREATE INDEX `subscriptions_state` ON `subscriptions` (`chain`,`state`,`id`);--> statement-breakpoint
CREATE INDEX `subscriptions_seen` ON `subscriptions` (`chain`,`seen_block`);--> statement-breakpoint
CREATE INDEX `subscriptions_decided` ON `subscriptions` (`chain`,`decided_block`) WHERE decided_block is not null;--> statement-breakpoint
CREATE INDEX `subscriptions_ended` ON `subscriptions` (`chain`,`kept_since`) WHERE state = 'ended';--> statement-breakpoint
CREATE TABLE `transactions` (
	`id` text PRIMARY KEY NOT NULL,
	`chain` integer NOT NULL,
	`signer` text NOT NULL,
	`nonce` integer NOT NULL,
	`state` text NOT NULL,
	`kind` text NOT NULL,
	`to` text NOT NULL,
	`gas_limit` integer NOT NULL,
	`deadline` integer,
	`created_at` integer NOT NULL,
	`sent_block` integer,
	`problem` text,
	`passed_block` integer,
	`passed_at` integer,
	`left_at` integer,
	`mined_hash` text,
	`mined_block` integer,
	`mined_block_hash` text,
	`status` integer,
	`gas_used` integer,
	`gas_price` text,
	`data` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `transactions_nonce` ON `transactions` (`chain`,`signer`,`nonce`) WHERE state <> 'displaced';--> statement-breakpoint
CREATE INDEX `transactions_open` ON `transactions` (`chain`,`signer`,`nonce`) WHERE state in ('signed', 'sent');--> statement-breakpoint
CREATE INDEX `transactions_mined` ON `transactions` (`chain`,`mined_block`) WHERE state = 'mined';--> statement-breakpoint
CREATE INDEX `transactions_over` ON `transactions` (`chain`,`created_at`) WHERE state in ('final', 'displaced');
--> statement-breakpoint
-- A job need not know of chains: its end is noted here.
CREATE TRIGGER `deliveries_job_ended` AFTER UPDATE OF `state` ON `jobs`
	WHEN NEW.destination = 0 AND OLD.state IN ('queued', 'running') AND NEW.state NOT IN ('queued', 'running')
BEGIN
	UPDATE deliveries SET
		state = CASE NEW.state WHEN 'success' THEN 'computed' ELSE 'dropped' END,
		reason = CASE NEW.state WHEN 'success' THEN NULL ELSE coalesce(NEW.error_code, NEW.state) END,
		message = CASE NEW.state WHEN 'success' THEN NULL ELSE NEW.error_message END
		WHERE job = NEW.id AND state = 'computing';
END;
