// Must be imported before onnxruntime, which since 1.29 otherwise reports every process, model and error to its maker
// and keeps an identifier of the machine on disk. Set here rather than in the image, it holds for a plain process too.
process.env.ORT_DISABLE_TELEMETRY = '1'
