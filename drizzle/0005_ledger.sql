CREATE TABLE `ledger` (
	`tx` text NOT NULL,
	`seq` integer NOT NULL,
	`chain` integer NOT NULL,
	`hash` text NOT NULL,
	`block` integer NOT NULL,
	`at` integer NOT NULL,
	`day` integer NOT NULL,
	`kind` text NOT NULL,
	`subscription` integer,
	`interval` integer,
	`consumer` text NOT NULL,
	`token` text NOT NULL,
	`payment` text NOT NULL,
	`slashed` text NOT NULL,
	`protocol_fee` text NOT NULL,
	`verifier_fee` text NOT NULL,
	`gas_used` integer NOT NULL,
	`gas_cost` text NOT NULL,
	PRIMARY KEY(`tx`, `seq`)
);
--> statement-breakpoint
CREATE INDEX `ledger_days` ON `ledger` (`chain`,`day`,`consumer`,`token`,`tx`,`seq`);