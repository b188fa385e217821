ALTER TABLE `proofs` ADD `answer_tx` text;--> statement-breakpoint
UPDATE proofs SET answer_tx = (SELECT tx FROM deliveries WHERE deliveries.chain = proofs.chain AND deliveries.subscription = proofs.subscription AND deliveries.interval = proofs.interval);--> statement-breakpoint
UPDATE proofs SET answer_tx = ledger.tx FROM ledger WHERE proofs.answer_tx IS NULL AND ledger.kind IN ('answer', 'rejected') AND ledger.chain = proofs.chain AND ledger.subscription = proofs.subscription AND ledger.interval = proofs.interval;--> statement-breakpoint
UPDATE proofs SET (stake_token, stake, stake_verifier) = (SELECT payment_token, payment_amount, verifier FROM subscriptions WHERE subscriptions.chain = proofs.chain AND subscriptions.id = proofs.subscription) WHERE state = 'pending' AND stake_token IS NULL;--> statement-breakpoint
CREATE INDEX `proofs_answer` ON `proofs` (`answer_tx`) WHERE answer_tx is not null;
