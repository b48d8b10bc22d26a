# SPDX-License-Identifier: MIT
# Options, flags that every target gets, and the few helper functions.

set(QS_SANITIZE "" CACHE STRING "sanitizers: empty, \"address,undefined\" or \"thread\"")
set_property(CACHE QS_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")
option(QS_FUZZ "build libFuzzer binaries (clang)" OFF)
option(QS_WERROR "warnings are errors" OFF)

get_property(qs_multi GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT qs_multi)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()
# No -DNDEBUG: tests assert, and the library does not.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(qs_warnings INTERFACE)
target_compile_options(qs_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wformat=2 -Wundef
  -Wvla $<$<BOOL:${QS_WERROR}>:-Werror>)

add_library(qs_common INTERFACE)
target_link_libraries(qs_common INTERFACE qs_warnings)
target_compile_definitions(qs_common INTERFACE QS_VERSION="${PROJECT_VERSION}")
target_link_options(qs_common INTERFACE LINKER:-z,relro,-z,now LINKER:--as-needed)

set(qs_sanitizers ${QS_SANITIZE})
if(QS_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "QS_FUZZ needs clang: cmake --preset fuzz")
  endif()
  list(APPEND qs_sanitizers fuzzer-no-link)
  string(REPLACE ";" "," qs_sanitizers "${qs_sanitizers}")
endif()
if(qs_sanitizers)
  target_compile_options(qs_common INTERFACE -fsanitize=${qs_sanitizers}
                         -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(qs_common INTERFACE -fsanitize=${qs_sanitizers})
  if(QS_SANITIZE STREQUAL thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
    # gcc warns of what its own instrumentation does; and TSan knows no fences, which seqlocks need.
    target_compile_options(qs_common INTERFACE -Wno-maybe-uninitialized -Wno-tsan)
  endif()
endif()
# clang leaves the sanitizer's own symbols of a library to the program.
if(NOT (qs_sanitizers AND CMAKE_C_COMPILER_ID MATCHES Clang))
  set(CMAKE_SHARED_LINKER_FLAGS "${CMAKE_SHARED_LINKER_FLAGS} -Wl,-z,defs")
endif()

# Every target from here on, tests included.
link_libraries(qs_common)

# qs_objects(NAME SOURCE...): an OBJECT library that sees the project's headers; it may be empty.
function(qs_objects name)
  set(sources ${ARGN})
  if(NOT sources)
    file(WRITE ${PROJECT_BINARY_DIR}/empty.c "extern int qs_empty;\n")
    set(sources ${PROJECT_BINARY_DIR}/empty.c)
    message(STATUS "${name}: no sources yet")
  endif()
  add_library(${name} OBJECT ${sources})
  target_compile_definitions(${name} PUBLIC _GNU_SOURCE)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# qs_version_script(TARGET FILE): exports exactly what FILE says.
function(qs_version_script target file)
  file(GLOB path CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
  if(path)
    target_link_options(${target} PRIVATE LINKER:--version-script=${path})
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${path})
  else()
    message(STATUS "${file} is not there yet")
  endif()
endfunction()

# qs_no_rpath(TARGET): neither in the build tree nor installed.
function(qs_no_rpath target)
  set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH TRUE INSTALL_RPATH "")
endfunction()
