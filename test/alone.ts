/**
 * Files that hold time still, or notice whatever their process does. Others share a process, one after another: what one of those has left
 * running, such as a wait whose client is gone, would be seen in these.
 */
export const alone = [
  'test/edge/bell.test.ts',
  'test/edge/ends.test.ts',
  'test/edge/relay-leaving.test.ts',
  'test/edge/relay-model.test.ts',
  'test/edge/relay.test.ts',
  'test/edge/stream-loss.test.ts',
  'test/edge/stream-pieces.test.ts',
  'test/runner/confine-unit.test.ts',
  'test/runner/engine.test.ts',
]
