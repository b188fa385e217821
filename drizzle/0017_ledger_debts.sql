ALTER TABLE `ledger` ADD `owed` text DEFAULT '0' NOT NULL;--> statement-breakpoint
ALTER TABLE `ledger` ADD `owing` text DEFAULT '0' NOT NULL;