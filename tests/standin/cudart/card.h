// The card that the stand-in describes: values of the JSON text in which cuDNN writes a
// device's properties. $DOPPEL_STAND_IN_CARD names a file; without it, an H200.
#pragma once
#include <cuda_runtime_api.h>

namespace standin {

const cudaDeviceProp& card();
int attribute(cudaDeviceAttr);  // -1 if the description does not tell
}  // namespace standin
