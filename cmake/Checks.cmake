# The cheap steps of tools/check, as tests.
find_package(Python3 COMPONENTS Interpreter REQUIRED)

function(tcpwhy_add_check name)
  add_test(NAME check.${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(check.${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
endfunction()

tcpwhy_add_check(layers ${Python3_EXECUTABLE} tools/check-layers)
tcpwhy_add_check(layers_self_test ${Python3_EXECUTABLE} tools/check-layers --self-test)
tcpwhy_add_check(call_values ${Python3_EXECUTABLE} tools/check-call-values)
tcpwhy_add_check(call_values_self_test ${Python3_EXECUTABLE} tools/check-call-values --self-test)
tcpwhy_add_check(docs ${Python3_EXECUTABLE} tools/check-docs)
tcpwhy_add_check(docs_self_test ${Python3_EXECUTABLE} tools/check-docs --self-test)
tcpwhy_add_check(docs_installed ${Python3_EXECUTABLE} tools/check-docs --installed ${CMAKE_BINARY_DIR})
tcpwhy_add_check(citations ${Python3_EXECUTABLE} tools/check-citations)
tcpwhy_add_check(citations_self_test ${Python3_EXECUTABLE} tools/check-citations --self-test)
tcpwhy_add_check(format tools/check-format)
tcpwhy_add_check(machines tools/check-machines)
