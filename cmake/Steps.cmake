# tests/steps: the rooms timeline and explain once more, so compiled that their steps can be counted. What is shared with the program are
# the sources, not the objects: there it costs nothing.
set(tcpwhy_counted "")
foreach(room timeline explain)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.cc)
  list(FILTER sources EXCLUDE REGEX "(_test|_benchmark|_measure|_fuzz)\\.cc$")
  list(APPEND tcpwhy_counted ${sources})
endforeach()
set(tcpwhy_trace_pc -fsanitize-coverage=trace-pc)

add_library(tcpwhy_counted STATIC ${tcpwhy_counted})
target_include_directories(tcpwhy_counted PUBLIC ${CMAKE_SOURCE_DIR}/src)
target_compile_options(tcpwhy_counted PRIVATE ${tcpwhy_trace_pc})
target_link_libraries(tcpwhy_counted PRIVATE tcpwhy_flags)
target_link_libraries(tcpwhy_counted PUBLIC tcpwhy_recording)
add_executable(steps ${CMAKE_SOURCE_DIR}/tests/steps/steps.cc)
target_link_libraries(steps PRIVATE tcpwhy_counted tcpwhy_flags GTest::gtest)
add_test(NAME steps COMMAND steps --gtest_brief=1)
