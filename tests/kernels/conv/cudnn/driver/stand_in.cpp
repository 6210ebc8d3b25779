// A stand-in for the NVIDIA driver library, for tests of cuDNN plans on a machine
// without one. It accepts the kernels cuDNN has compiled and does nothing with them;
// every other call fails, as in the toolkit's link-time stub. Tests load it by its path
// before cuDNN opens libcuda.so.1, the name it carries.
namespace {
char something[64];               // handles point to it
constexpr int kStubLibrary = 34;  // CUDA_ERROR_STUB_LIBRARY
}  // namespace

#define TAKES(function, parameters, assignment) \
  int function parameters {                     \
    assignment;                                 \
    return 0;                                   \
  }
#define FAILS(function) \
  int function() { return kStubLibrary; }

extern "C" {
TAKES(cuDriverGetVersion, (int* version), *version = 13000)
TAKES(cuGetErrorName, (int, const char** text), *text = "stand-in")
TAKES(cuGetErrorString, (int, const char** text), *text = "no driver: this is a stand-in for tests")
TAKES(cuLibraryLoadData, (void** library, ...), *library = something)
TAKES(cuLibraryUnload, (void*), )
TAKES(cuLibraryGetKernel, (void** kernel, void*, const char*), *kernel = something)
TAKES(cuLibraryGetKernelCount, (unsigned* count, void*), *count = 1)
TAKES(cuLibraryEnumerateKernels, (void** kernels, unsigned count, void*),
      for (unsigned i = 0; i < count; ++i) kernels[i] = something)
TAKES(cuLibraryGetModule, (void** module_handle, void*), *module_handle = something)
TAKES(cuKernelGetFunction, (void** function, void*), *function = something)
TAKES(cuKernelSetAttribute, (int, int, void*, int), )
TAKES(cuKernelGetAttribute, (int* value, int, void*, int), *value = 0)
TAKES(cuFuncSetAttribute, (void*, int, int), )
TAKES(cuFuncGetAttribute, (int* value, int, void*), *value = 0)
TAKES(cuModuleLoadData, (void** module_handle, const void*), *module_handle = something)
TAKES(cuModuleGetFunction, (void** function, void*, const char*), *function = something)
TAKES(cuModuleUnload, (void*), )
FAILS(cuInit)
FAILS(cuGetProcAddress)
FAILS(cuGetProcAddress_v2)
FAILS(cuDeviceGet)
FAILS(cuDeviceGetCount)
FAILS(cuDeviceGetAttribute)
FAILS(cuCtxGetCurrent)
FAILS(cuCtxGetLimit)
FAILS(cuCtxPopCurrent)
FAILS(cuCtxPushCurrent)
FAILS(cuStreamGetCtx)
FAILS(cuLinkCreate)
FAILS(cuLinkAddData)
FAILS(cuLinkComplete)
FAILS(cuLinkDestroy)
FAILS(cuLaunchKernel)
FAILS(cuLaunchKernelEx)
FAILS(cuLaunchCooperativeKernel)
FAILS(cuLibraryLoadFromFile)
FAILS(cuOccupancyMaxPotentialClusterSize)
}
