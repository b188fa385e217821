DROP INDEX `subscriptions_ended`;--> statement-breakpoint
ALTER TABLE `subscriptions` ADD `floor_interval` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `subscriptions` ADD `decided_block` integer;--> statement-breakpoint
ALTER TABLE `subscriptions` ADD `kept_since` integer;--> statement-breakpoint
UPDATE `subscriptions` SET `kept_since` = `created_at` WHERE `state` = 'ended';--> statement-breakpoint
CREATE INDEX `subscriptions_decided` ON `subscriptions` (`chain`,`decided_block`) WHERE decided_block is not null;--> statement-breakpoint
CREATE INDEX `subscriptions_ended` ON `subscriptions` (`chain`,`kept_since`) WHERE state = 'ended';--> statement-breakpoint
ALTER TABLE `deliveries` ADD `dropped_block` integer;--> statement-breakpoint
CREATE INDEX `deliveries_dropped` ON `deliveries` (`chain`,`dropped_block`) WHERE dropped_block is not null;--> statement-breakpoint
CREATE INDEX `deliveries_over` ON `deliveries` (`chain`,`created_at`) WHERE state in ('final', 'dropped');--> statement-breakpoint
CREATE INDEX `transactions_over` ON `transactions` (`chain`,`created_at`) WHERE state in ('final', 'displaced');