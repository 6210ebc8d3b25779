# Libraries linked into every build: png, crypto, fmt, nlohmann_json, GoogleTest; and, with
# DOPPEL_REVIEW, cpp-httplib.
# tools/install_deps.sh installs them.

# A portable program goes to another machine (bench/gpu_pack.sh): only the C library, and what
# dlopen finds, is taken from there.
if(DOPPEL_PORTABLE)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
  set(OPENSSL_USE_STATIC_LIBS ON)
  add_link_options(-static-libstdc++ -static-libgcc)
  find_path(FMT_INCLUDE fmt/format.h REQUIRED)   # Debian's fmt::fmt is a shared library
  add_library(fmt::fmt INTERFACE IMPORTED)
  target_include_directories(fmt::fmt SYSTEM INTERFACE ${FMT_INCLUDE})
  target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY=1)
else()
  find_package(fmt REQUIRED)
endif()
find_package(PNG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json REQUIRED)
if(DOPPEL_REVIEW)
  # Debian's is a shared library, and its header depends on the flags that pkg-config tells.
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
endif()
if(DOPPEL_TESTS)
  find_package(GTest QUIET)
endif()
