/** Preloaded into a host: on a message it logs some lines, each after the one before has been tried, and then says so. */
import { isMainThread } from 'node:worker_threads'

const lines = 5

async function chatter(): Promise<void> {
  for (let line = 0; line < lines; line++) {
    console.log('chatter')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  process.send?.('told')
}

if (isMainThread) process.on('message', () => void chatter())
