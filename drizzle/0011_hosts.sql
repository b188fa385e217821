ALTER TABLE `instances` ADD `host` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `images` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `labels` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
DROP TRIGGER `policy_runner_update`;
--> statement-breakpoint
CREATE TRIGGER `policy_runner_update` AFTER UPDATE ON `runners`
	WHEN OLD.containers IS NOT NEW.containers OR OLD.labels IS NOT NEW.labels
		OR OLD.revoked_at IS NOT NEW.revoked_at OR OLD.public_key IS NOT NEW.public_key
BEGIN
	UPDATE policy SET epoch = epoch + 1;
END;
