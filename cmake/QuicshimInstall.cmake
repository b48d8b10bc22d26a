# SPDX-License-Identifier: MIT
# What `cmake --install` puts beside the binaries.

configure_file(cmake/quicshim.pc.in quicshim.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/quicshim.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(section 1 5 7 8)
  file(GLOB pages CONFIGURE_DEPENDS man/*.${section})
  if(pages)
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endif()
endforeach()

file(GLOB completions CONFIGURE_DEPENDS tools/completions/quicshim-*)
if(completions)
  install(FILES ${completions} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()

foreach(doc README.md CHANGELOG.md CONTRIBUTING.md LICENSE)
  install(FILES ${doc} DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
endforeach()

# LD_PRELOAD=libquicshim.so by its bare name is looked up in the loader's cache.
install(CODE [[
  if("$ENV{DESTDIR}" STREQUAL "")
    execute_process(COMMAND ldconfig RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
    if(NOT code EQUAL 0)
      message(STATUS "run ldconfig as root, so that LD_PRELOAD finds libquicshim.so by its name")
    endif()
  endif()
]])
