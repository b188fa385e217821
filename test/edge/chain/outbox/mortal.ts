import type { Signer } from '../../../../src/edge/chain/chain.ts'
import type { Rpc } from '../../../../src/edge/chain/rpc.ts'
import type { Db } from '../../../../src/edge/db/open.ts'

/** The process has died. */
export class Died extends Error {
  override name = 'Died'
}

/** Stands before each step that reaches out of the process. `what`: as 'db', 'send', 'sendToAll', 'sign'. */
export type Gate = <T>(what: string, step: () => Promise<T>) => Promise<T>

/** What a process reaches its surroundings by: a database, a chain, a key. Each use passes the gate. */
export function mortal({ db, rpc, signer }: { db: Db; rpc: Rpc; signer: Signer }, gate: Gate) {
  return {
    db: mortalDb(db, gate),
    rpc: {
      ...rpc,
      send: (...args: Parameters<Rpc['send']>) => gate('send', () => rpc.send(...args)),
      sendToAll: (calls: Parameters<Rpc['send']>[0]) => gate('sendToAll', () => rpc.sendToAll(calls)),
    },
    signer: {
      address: signer.address,
      signTransaction: (transaction: Parameters<Signer['signTransaction']>[0]) =>
        gate('sign', () => signer.signTransaction(transaction)),
    },
  }
}

/** A statement is run when it is awaited; those of a batch, with the batch. */
export function mortalDb(db: Db, gate: Gate): Db {
  const { orm } = db
  const lazy =
    (method: 'all' | 'run') =>
    (...args: Parameters<typeof orm.run>) => {
      const statement = orm[method](...args)
      const execute = statement.execute.bind(statement) as () => Promise<never>
      statement.execute = () => gate('db', execute)
      return statement
    }
  const batch: typeof orm.batch = statements => gate('db', () => orm.batch(statements))
  const wrapped = new Proxy(orm, {
    get: (target, key) =>
      key === 'all' || key === 'run' ? lazy(key) : key === 'batch' ? batch : Reflect.get(target, key),
  })
  return {
    orm: wrapped,
    get now() {
      return db.now
    },
  }
}

/** Dies at the step of this number from 0: before it has happened, or after, without having heard of it. */
export function dieAt(step: number, when: 'before' | 'after'): Gate {
  let count = 0
  return async (_, run) => {
    if (count > step) throw new Died()
    const isLast = count++ === step
    if (isLast && when === 'before') throw new Died()
    const result = await run()
    if (isLast) throw new Died()
    return result
  }
}
