# Libraries that are headers or are linked into every build: from the system, or else from
# third_party/. bench/on_gpu.sh --pack fills that folder on a machine that has them, and it
# travels with the tree (git ignores it), for machines with a compiler and CMake only.
set(DOPPEL_THIRD_PARTY ${PROJECT_SOURCE_DIR}/third_party)

# Linked libraries. The packed ones are static and have their headers beside them, apart from
# third_party/include: a header must not meet the library of another version.
find_package(PNG QUIET)
find_package(OpenSSL QUIET COMPONENTS Crypto)
if(NOT PNG_FOUND OR NOT OPENSSL_FOUND)
  if(EXISTS ${DOPPEL_THIRD_PARTY}/static)
    message(STATUS "doppel: libpng and libcrypto from third_party/")
    list(PREPEND CMAKE_PREFIX_PATH ${DOPPEL_THIRD_PARTY}/static)
  endif()
  find_package(PNG REQUIRED)   # tools/install_deps.sh build installs both
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)
endif()

if(EXISTS ${DOPPEL_THIRD_PARTY}/include)
  list(APPEND CMAKE_PREFIX_PATH ${DOPPEL_THIRD_PARTY})   # for find_path: stb, CLI11
endif()

# A header-only library: the system's CMake package, else the packed headers.
function(doppel_headers package target header)
  find_package(${package} QUIET)
  if(TARGET ${target})
    return()
  endif()
  if(NOT EXISTS ${DOPPEL_THIRD_PARTY}/include/${header})
    message(FATAL_ERROR "doppel: ${package} was not found: install it with tools/install_deps.sh "
                        "build, or pack it with bench/on_gpu.sh --pack on a machine that has it")
  endif()
  message(STATUS "doppel: ${package} from third_party/")
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${DOPPEL_THIRD_PARTY}/include)
  target_compile_definitions(${target} INTERFACE ${ARGN})
endfunction()
doppel_headers(fmt fmt::fmt fmt/format.h FMT_HEADER_ONLY=1)
doppel_headers(nlohmann_json nlohmann_json::nlohmann_json nlohmann/json.hpp)

# GoogleTest, packed as source: a library built on one system need not link on another.
if(DOPPEL_TESTS)
  find_package(GTest QUIET)
  set(packed ${DOPPEL_THIRD_PARTY}/googletest)
  if(NOT TARGET GTest::gtest AND EXISTS ${packed}/src/gtest-all.cc)
    message(STATUS "doppel: GoogleTest from third_party/")
    find_package(Threads REQUIRED)
    add_library(packed_gtest STATIC EXCLUDE_FROM_ALL ${packed}/src/gtest-all.cc)
    target_include_directories(packed_gtest SYSTEM PUBLIC ${packed}/include PRIVATE ${packed})
    target_link_libraries(packed_gtest PUBLIC Threads::Threads)
    add_library(packed_gtest_main STATIC EXCLUDE_FROM_ALL ${packed}/src/gtest_main.cc)
    target_link_libraries(packed_gtest_main PUBLIC packed_gtest)
    add_library(GTest::gtest ALIAS packed_gtest)
    add_library(GTest::gtest_main ALIAS packed_gtest_main)
  endif()
endif()
