# Flags of kernels on the host. No fused multiply-add, so loops, fibers and every
# instruction set give the same bits; no errno and no trapping, which would keep square
# roots and selects from vectorising.
set(DOPPEL_HOST_KERNEL_FLAGS -ffp-contract=off -fno-math-errno -fno-trapping-math
    -fopenmp-simd -Wno-unknown-pragmas)
# Loops start at 64 bytes. A loop's place in its line of code decides up to 45 % of its time,
# and by default an edit to another file moves it by steps of 16 bytes.
set(DOPPEL_ALIGNED_CODE "")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(DOPPEL_ALIGNED_CODE -falign-functions=64 -falign-loops=64)
  list(APPEND DOPPEL_HOST_KERNEL_FLAGS -O3 ${DOPPEL_ALIGNED_CODE})
endif()

# Adds .cu files to a target: compiled for the host through a generated one-line wrapper, so
# one file carries two languages, and for the GPU if nvcc is found. Both land in one binary,
# and tests compare them in one process.
function(doppel_kernel_sources target)
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/host/${name}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${path}\"\n")
    set_source_files_properties(${wrapper} PROPERTIES
      COMPILE_OPTIONS "${DOPPEL_HOST_KERNEL_FLAGS}")
    target_sources(${target} PRIVATE ${wrapper})
  endforeach()
  if(DOPPEL_HAS_CUDA AND ARGN)
    add_library(${target}_cuda OBJECT ${ARGN})
    target_include_directories(${target}_cuda PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${target}_cuda PRIVATE DOPPEL_HAS_CUDA=1)
    target_compile_options(${target}_cuda PRIVATE --extended-lambda --expt-relaxed-constexpr
      -Werror all-warnings -Xcompiler=-Wall,-Wextra -lineinfo -Xptxas -v)
    set_property(TARGET ${target}_cuda PROPERTY CUDA_COMPILER_LAUNCHER
      ${PROJECT_SOURCE_DIR}/cmake/keep_ptxas_report.sh ${CMAKE_CUDA_COMPILER_LAUNCHER})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_cuda>)
  endif()
endfunction()
