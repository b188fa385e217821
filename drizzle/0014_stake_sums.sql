CREATE TABLE `stake_sums` (
	`chain` integer NOT NULL,
	`token` text NOT NULL,
	`verifier` text NOT NULL,
	`wallet` text NOT NULL,
	`proofs` integer NOT NULL,
	`amount0` integer NOT NULL,
	`amount1` integer NOT NULL,
	`amount2` integer NOT NULL,
	`amount3` integer NOT NULL,
	`amount4` integer NOT NULL,
	`amount5` integer NOT NULL,
	`amount6` integer NOT NULL,
	PRIMARY KEY(`chain`, `token`, `verifier`, `wallet`)
);
--> statement-breakpoint
DROP INDEX `deliveries_staked`;--> statement-breakpoint
CREATE INDEX `deliveries_staked` ON `deliveries` (`chain`,`stake_token`,`stake_verifier`,`stake`,`node_wallet`) WHERE stake_token is not null and state in ('computing', 'computed', 'sending');
--> statement-breakpoint
INSERT INTO stake_sums (chain, token, verifier, wallet, proofs, amount0, amount1, amount2, amount3, amount4, amount5, amount6)
	SELECT chain, stake_token, coalesce(stake_verifier, ''), coalesce(node_wallet, ''), count(*),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -12, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -24, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -36, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -48, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -60, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -72, 12) AS INTEGER)),
		sum(CAST(substr(hex(zeroblob(42)) || stake, -84, 12) AS INTEGER))
	FROM proofs WHERE stake_token IS NOT NULL AND stake IS NOT NULL AND state = 'pending'
	GROUP BY chain, stake_token, coalesce(stake_verifier, ''), coalesce(node_wallet, '');
--> statement-breakpoint
CREATE TRIGGER `proofs_summed_insert` AFTER INSERT ON `proofs`
	WHEN NEW.stake_token IS NOT NULL AND NEW.stake IS NOT NULL AND NEW.state = 'pending'
BEGIN
	INSERT INTO stake_sums (chain, token, verifier, wallet, proofs, amount0, amount1, amount2, amount3, amount4, amount5, amount6)
		VALUES (NEW.chain, NEW.stake_token, coalesce(NEW.stake_verifier, ''), coalesce(NEW.node_wallet, ''), 1,
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -12, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -24, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -36, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -48, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -60, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -72, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -84, 12) AS INTEGER))
		ON CONFLICT (chain, token, verifier, wallet) DO UPDATE SET proofs = proofs + 1,
			amount0 = amount0 + excluded.amount0, amount1 = amount1 + excluded.amount1, amount2 = amount2 + excluded.amount2, amount3 = amount3 + excluded.amount3, amount4 = amount4 + excluded.amount4, amount5 = amount5 + excluded.amount5, amount6 = amount6 + excluded.amount6;
END;
--> statement-breakpoint
-- The row as it was goes out of the sums, and comes in as it is, in whichever order.
CREATE TRIGGER `proofs_summed_update` AFTER UPDATE OF `chain`, `stake_token`, `stake`, `stake_verifier`, `node_wallet`, `state` ON `proofs`
	WHEN NEW.stake_token IS NOT NULL AND NEW.stake IS NOT NULL AND NEW.state = 'pending'
BEGIN
	INSERT INTO stake_sums (chain, token, verifier, wallet, proofs, amount0, amount1, amount2, amount3, amount4, amount5, amount6)
		VALUES (NEW.chain, NEW.stake_token, coalesce(NEW.stake_verifier, ''), coalesce(NEW.node_wallet, ''), 1,
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -12, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -24, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -36, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -48, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -60, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -72, 12) AS INTEGER),
			CAST(substr(hex(zeroblob(42)) || NEW.stake, -84, 12) AS INTEGER))
		ON CONFLICT (chain, token, verifier, wallet) DO UPDATE SET proofs = proofs + 1,
			amount0 = amount0 + excluded.amount0, amount1 = amount1 + excluded.amount1, amount2 = amount2 + excluded.amount2, amount3 = amount3 + excluded.amount3, amount4 = amount4 + excluded.amount4, amount5 = amount5 + excluded.amount5, amount6 = amount6 + excluded.amount6;
END;
--> statement-breakpoint
CREATE TRIGGER `proofs_unsummed_update` AFTER UPDATE OF `chain`, `stake_token`, `stake`, `stake_verifier`, `node_wallet`, `state` ON `proofs`
	WHEN OLD.stake_token IS NOT NULL AND OLD.stake IS NOT NULL AND OLD.state = 'pending'
BEGIN
	UPDATE stake_sums SET proofs = proofs - 1,
			amount0 = amount0 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -12, 12) AS INTEGER),
			amount1 = amount1 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -24, 12) AS INTEGER),
			amount2 = amount2 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -36, 12) AS INTEGER),
			amount3 = amount3 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -48, 12) AS INTEGER),
			amount4 = amount4 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -60, 12) AS INTEGER),
			amount5 = amount5 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -72, 12) AS INTEGER),
			amount6 = amount6 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -84, 12) AS INTEGER)
		WHERE chain = OLD.chain AND token = OLD.stake_token AND verifier = coalesce(OLD.stake_verifier, '') AND wallet = coalesce(OLD.node_wallet, '');
	DELETE FROM stake_sums
		WHERE chain = OLD.chain AND token = OLD.stake_token AND verifier = coalesce(OLD.stake_verifier, '') AND wallet = coalesce(OLD.node_wallet, '')
			AND proofs <= 0;
END;
--> statement-breakpoint
CREATE TRIGGER `proofs_unsummed_delete` AFTER DELETE ON `proofs`
	WHEN OLD.stake_token IS NOT NULL AND OLD.stake IS NOT NULL AND OLD.state = 'pending'
BEGIN
	UPDATE stake_sums SET proofs = proofs - 1,
			amount0 = amount0 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -12, 12) AS INTEGER),
			amount1 = amount1 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -24, 12) AS INTEGER),
			amount2 = amount2 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -36, 12) AS INTEGER),
			amount3 = amount3 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -48, 12) AS INTEGER),
			amount4 = amount4 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -60, 12) AS INTEGER),
			amount5 = amount5 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -72, 12) AS INTEGER),
			amount6 = amount6 - CAST(substr(hex(zeroblob(42)) || OLD.stake, -84, 12) AS INTEGER)
		WHERE chain = OLD.chain AND token = OLD.stake_token AND verifier = coalesce(OLD.stake_verifier, '') AND wallet = coalesce(OLD.node_wallet, '');
	DELETE FROM stake_sums
		WHERE chain = OLD.chain AND token = OLD.stake_token AND verifier = coalesce(OLD.stake_verifier, '') AND wallet = coalesce(OLD.node_wallet, '')
			AND proofs <= 0;
END;
