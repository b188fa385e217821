DROP INDEX `deliveries_staked`;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `stake_verifier` text;--> statement-breakpoint
ALTER TABLE `deliveries` ADD `node_wallet` text;--> statement-breakpoint
CREATE INDEX `deliveries_staked` ON `deliveries` (`chain`,`stake_token`,`stake_verifier`,`stake`) WHERE stake_token is not null and state in ('computing', 'computed', 'sending');--> statement-breakpoint
ALTER TABLE `chains` ADD `stakings` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `consumer_changes` ADD `rejected` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `consumer_hours` ADD `rejected` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `consumers` ADD `rejected` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `proofs` ADD `stake_token` text;--> statement-breakpoint
ALTER TABLE `proofs` ADD `stake` text;--> statement-breakpoint
ALTER TABLE `proofs` ADD `stake_verifier` text;--> statement-breakpoint
ALTER TABLE `proofs` ADD `node_wallet` text;--> statement-breakpoint
CREATE INDEX `proofs_staked` ON `proofs` (`chain`,`stake_token`,`stake_verifier`,`stake`,`node_wallet`) WHERE stake_token is not null and state = 'pending';--> statement-breakpoint
UPDATE deliveries SET stake_verifier = (SELECT verifier FROM subscriptions WHERE subscriptions.chain = deliveries.chain AND subscriptions.id = deliveries.subscription) WHERE stake_token IS NOT NULL AND state IN ('computing', 'computed', 'sending');--> statement-breakpoint
UPDATE proofs SET (stake_token, stake, stake_verifier) = (SELECT stake_token, stake, (SELECT verifier FROM subscriptions WHERE subscriptions.chain = deliveries.chain AND subscriptions.id = deliveries.subscription) FROM deliveries WHERE deliveries.chain = proofs.chain AND deliveries.subscription = proofs.subscription AND deliveries.interval = proofs.interval) WHERE state = 'pending';
