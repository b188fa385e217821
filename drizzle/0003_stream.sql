ALTER TABLE `jobs` ADD `endpoint` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `unread_ms` integer;--> statement-breakpoint
ALTER TABLE `jobs` ADD `stream_bytes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `stream_total` integer;--> statement-breakpoint
ALTER TABLE `jobs` ADD `stream_text` integer;