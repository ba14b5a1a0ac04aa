# The manual page, what is installed besides the program, and the Debian package:  cpack -G DEB  in the build folder.
set(docs ${CMAKE_INSTALL_DATADIR}/doc/tcpwhy)
# Laid out as in the project, and all pages, since they link to each other: tools/check-docs --installed follows the links.
install(FILES README.md CONTRIBUTING.md LICENSE DESTINATION ${docs} COMPONENT documentation)
install(DIRECTORY docs DESTINATION ${docs} COMPONENT documentation FILES_MATCHING PATTERN "*.md")
install(DIRECTORY scenarios DESTINATION ${docs} COMPONENT documentation)

find_program(SCDOC scdoc)
if(SCDOC)
  set(manual ${CMAKE_BINARY_DIR}/tcpwhy.1)
  add_custom_command(
    OUTPUT ${manual}
    COMMAND ${SCDOC} <${CMAKE_CURRENT_SOURCE_DIR}/man/tcpwhy.1.scd >${manual}
    DEPENDS man/tcpwhy.1.scd
    COMMENT "Writing tcpwhy(1)")
  add_custom_target(manual ALL DEPENDS ${manual})
  install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT documentation)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tcpwhy)
set(CPACK_PACKAGE_CONTACT "The tcpwhy authors <tcpwhy@localhost>")
set(CPACK_PACKAGE_VENDOR tcpwhy)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "shows why a TCP connection did what it did")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Puts the packets, the system calls, the signals and both ends' TCP states of a connection on one timeline, ties "
    "every effect to its cause and says in words what happened.")
list(JOIN CPACK_DEBIAN_PACKAGE_DESCRIPTION "" CPACK_DEBIAN_PACKAGE_DESCRIPTION)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_STRIP_FILES ON)
include(CPack)
