/**
 * A flag of V8's, in MiB, that every program is started with through which streams pass. A chunk of 64 KiB is a few words to the collector,
 * and its bytes lie outside of the heap: with the nursery of 16 MiB that V8 grows by itself, tens of MiB of chunks long read wait for the
 * next collection. With 1, half as many do, and a fifth of an edge's time is collections.
 */
export const leanHeap = '--max-semi-space-size=4'
