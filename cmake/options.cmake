# Flags every target shares, as the interface target `doppel_options`.
add_library(doppel_options INTERFACE)
target_compile_options(doppel_options INTERFACE
                       $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow>)
target_include_directories(doppel_options INTERFACE ${PROJECT_SOURCE_DIR})

# The oldest x86 we run on. Newer instruction sets are chosen at run time, never by the build.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(doppel_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=x86-64-v2>)
endif()

# Hardening costs nothing measurable here; the sanitizers bring their own checks.
if(NOT DOPPEL_SANITIZE)
  target_compile_options(doppel_options INTERFACE
                         $<$<COMPILE_LANGUAGE:CXX>:-fstack-protector-strong>)
  set(release_cxx $<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>)
  target_compile_definitions(doppel_options INTERFACE $<${release_cxx}:_FORTIFY_SOURCE=2>)
  target_link_options(doppel_options INTERFACE -Wl,-z,relro,-z,now)
else()
  string(REPLACE ";" "," sanitize_list "${DOPPEL_SANITIZE}")
  set(sanitize_flags
      -fsanitize=${sanitize_list} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(doppel_options INTERFACE
                         "$<$<COMPILE_LANGUAGE:CXX>:${sanitize_flags}>")
  target_compile_definitions(doppel_options INTERFACE _GLIBCXX_ASSERTIONS)
  target_link_options(doppel_options INTERFACE -fsanitize=${sanitize_list})
endif()
