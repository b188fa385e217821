import { cpus, endianness, release, type } from 'node:os'

const model = 'local/PaddlePaddle/PP-OCRv4'

/** `GET /service-resources`: what runs here and on what, in the schema that compute services share. */
export function describeResources() {
  const cores = cpus()
  const name = cores[0]?.model ?? 'unknown'
  return {
    version: '0.1.0',
    service_id: 'ocr',
    hardware_capabilities: [
      {
        capability_id: 'base',
        os_info: { name: type(), version: release() },
        cpu_info: {
          model: name,
          architecture: process.arch,
          byte_order: endianness() === 'LE' ? 'Little Endian' : 'Big Endian',
          vendor_id: /intel/i.test(name) ? 'GenuineIntel' : /amd/i.test(name) ? 'AuthenticAMD' : 'unknown',
          num_cores: cores.length,
          cores: cores.map(({ speed }, id) => ({ id: String(id), frequency: speed })),
        },
        disk_info: [],
      },
    ],
    compute_capability: [
      {
        id: 'ml',
        type: 'onnx',
        task: ['image-to-text'],
        models: [model],
        cached_models: [model],
        inference_engine: 'onnxruntime',
        inference_engine_version: '1.30.0',
      },
    ],
  }
}

/** `GET /service-resources?model_id=`: whether that model is served here. */
export function supportsModel(id) {
  return id === model ? { supported: true } : { supported: false, error: `only ${model} is served here` }
}
