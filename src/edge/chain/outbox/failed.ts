/** What the row of an answer says that was mined, and not taken. */
export const failed = { reason: 'reverted', message: 'The delivery was mined, and reverted.' } as const
