import { cpus, endianness, release, type } from 'node:os'

/** `GET /service-resources`: what runs here and on what, in the schema that compute services share. */
export function describeResources(name) {
  const cores = cpus()
  const cpu = cores[0]?.model ?? 'unknown'
  return {
    version: '0.1.0',
    service_id: 'chat',
    hardware_capabilities: [
      {
        capability_id: 'base',
        os_info: { name: type(), version: release() },
        cpu_info: {
          model: cpu,
          architecture: process.arch,
          byte_order: endianness() === 'LE' ? 'Little Endian' : 'Big Endian',
          vendor_id: /intel/i.test(cpu) ? 'GenuineIntel' : /amd/i.test(cpu) ? 'AuthenticAMD' : 'unknown',
          num_cores: cores.length,
          cores: cores.map(({ speed }, id) => ({ id: String(id), frequency: speed })),
        },
        disk_info: [],
      },
    ],
    compute_capability: [
      {
        id: 'ml',
        type: 'llama_cpp',
        task: ['text-generation'],
        models: [modelId(name)],
        cached_models: [modelId(name)],
        inference_engine: 'node-llama-cpp',
        inference_engine_version: '3.21.1',
      },
    ],
  }
}

/** `GET /service-resources?model_id=`: whether that model is served here. */
export function supportsModel(id, name) {
  if (id === name || id === modelId(name)) return { supported: true }
  return { supported: false, error: `only ${modelId(name)} is served here` }
}

function modelId(name) {
  return `local/${name}`
}
