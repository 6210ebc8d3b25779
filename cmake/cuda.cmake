# Finds nvcc, also off PATH, and fixes the architectures before CMake guesses them, which needs a
# GPU.
set(DOPPEL_HAS_CUDA OFF)
if(NOT DOPPEL_CUDA STREQUAL "OFF" AND NOT DOPPEL_SANITIZE)
  find_program(DOPPEL_NVCC nvcc
               HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(DOPPEL_NVCC)
    set(CMAKE_CUDA_COMPILER ${DOPPEL_NVCC})
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90)
    endif()
    set(CMAKE_CUDA_STANDARD 17)   # for CMake's own trial compile
    enable_language(CUDA)
    # Debian 12's CMake, 3.25.1, has no C++20 flag for nvcc. It looks its flags up by these names.
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_RUNTIME_LIBRARY None)   # kernels/ says which runtime is linked
    find_package(CUDAToolkit REQUIRED)
    set(DOPPEL_HAS_CUDA ON)
  elseif(DOPPEL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DOPPEL_CUDA=ON, but nvcc was not found: "
                        "install the CUDA toolkit or set CUDA_HOME")
  endif()
endif()
message(STATUS "doppel: GPU side ${DOPPEL_HAS_CUDA}")
