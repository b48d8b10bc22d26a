# SPDX-License-Identifier: MIT
# The targets lint, format and format-check.

file(GLOB qs_own_sources CONFIGURE_DEPENDS
  engine/*.c shim/*.c tools/*.c tests/unit/*.c tests/fuzz/*.c tests/contract/*.c)
file(GLOB qs_own_headers CONFIGURE_DEPENDS engine/*.h shim/*.h tools/*.h tests/*/*.h)
find_program(QS_CLANG_TIDY clang-tidy)
find_program(QS_CLANG_FORMAT clang-format)

if(QS_CLANG_TIDY)
  add_custom_target(lint
    COMMAND ${QS_CLANG_TIDY} -p ${PROJECT_BINARY_DIR} --quiet --warnings-as-errors=* ${qs_own_sources}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} VERBATIM)
endif()
if(QS_CLANG_FORMAT)
  add_custom_target(format
    COMMAND ${QS_CLANG_FORMAT} -i ${qs_own_sources} ${qs_own_headers}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} VERBATIM)
  add_custom_target(format-check
    COMMAND ${QS_CLANG_FORMAT} --dry-run --Werror ${qs_own_sources} ${qs_own_headers}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} VERBATIM)
endif()
foreach(target lint format format-check)
  if(NOT TARGET ${target})
    add_custom_target(${target}
      COMMAND ${CMAKE_COMMAND} -E echo "${target}: clang-tidy or clang-format is not installed here"
      COMMAND ${CMAKE_COMMAND} -E false)
  endif()
endforeach()
