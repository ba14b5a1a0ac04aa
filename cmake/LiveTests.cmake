# Real programs under tcpwhy trace (tests/live): each case with each backend, one at a time. 77: not possible here, its output says why.
enable_language(C)
find_package(Python3 COMPONENTS Interpreter REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBURING IMPORTED_TARGET liburing)

set(tcpwhy_live_programs ${CMAKE_BINARY_DIR}/live-programs)

# The program, but that it spoils the probe's programs which an environment variable names: those the kernel refuses.
add_executable(tcpwhy_spoilt src/cli/main.cc src/trace/bpf/probe.cc)
target_compile_definitions(tcpwhy_spoilt PRIVATE TCPWHY_SPOILT_HOOKS)
target_include_directories(tcpwhy_spoilt SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/generated-system)
target_link_libraries(tcpwhy_spoilt PRIVATE tcpwhy_flags tcpwhy_cli)
add_dependencies(tcpwhy_spoilt tcpwhy_bpf_probe)

function(tcpwhy_add_live_program name)
  add_executable(live_${name} ${CMAKE_SOURCE_DIR}/tests/live/programs/${name}.c)
  target_compile_options(live_${name} PRIVATE -O2 -g -Wall -Wextra)
  target_link_libraries(live_${name} PRIVATE ${ARGN})
  set_target_properties(live_${name} PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${tcpwhy_live_programs})
endfunction()

function(tcpwhy_add_live_test name)
  foreach(backend bpf ptrace)
    add_test(NAME live.${name}.${backend}
             COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/live/${name}.py $<TARGET_FILE:tcpwhy>
                     ${tcpwhy_live_programs} ${backend})
    set_tests_properties(live.${name}.${backend} PROPERTIES RUN_SERIAL ON SKIP_RETURN_CODE 77 TIMEOUT 120)
  endforeach()
endfunction()

# What the cases hold their recordings against at the end.
add_executable(live_check_recordings tests/live/check_recordings.cc)
target_link_libraries(live_check_recordings PRIVATE tcpwhy_flags tcpwhy_capfile tcpwhy_explain)
set_target_properties(live_check_recordings PROPERTIES OUTPUT_NAME check_recordings RUNTIME_OUTPUT_DIRECTORY ${tcpwhy_live_programs})

tcpwhy_add_live_program(fork_and_close)
tcpwhy_add_live_program(holder_ends Threads::Threads)
tcpwhy_add_live_program(pass_descriptor)
tcpwhy_add_live_program(sigpipe_ways)
tcpwhy_add_live_program(ways_to_close)
tcpwhy_add_live_program(compat_calls)
tcpwhy_add_live_program(ends_under_recv Threads::Threads)
tcpwhy_add_live_program(connections Threads::Threads)
if(LIBURING_FOUND)
  tcpwhy_add_live_program(uring_echo PkgConfig::LIBURING)
  tcpwhy_add_live_program(uring_operations PkgConfig::LIBURING)
endif()

tcpwhy_add_live_test(curl_and_nginx)
tcpwhy_add_live_test(fork_and_close)
tcpwhy_add_live_test(sigpipe_ways)
tcpwhy_add_live_test(ways_to_close)
tcpwhy_add_live_test(descriptors_of_command)
tcpwhy_add_live_test(compat_calls)
tcpwhy_add_live_test(ends_under_recv)
tcpwhy_add_live_test(http_server_killed)
tcpwhy_add_live_test(redis_client_kill)
tcpwhy_add_live_test(nginx_refuses_upload)
tcpwhy_add_live_test(hardships)
tcpwhy_add_live_test(uring_echo)
tcpwhy_add_live_test(uring_operations)
tcpwhy_add_live_test(holder_ends)
tcpwhy_add_live_test(pass_descriptor)
tcpwhy_add_live_test(watch_recording)
tcpwhy_add_live_test(other_namespace)
tcpwhy_add_live_test(unread_data)
tcpwhy_add_live_test(listener_refuses)
tcpwhy_add_live_test(unseen_endings)
tcpwhy_add_live_test(failed_connects)
tcpwhy_add_live_test(refused_hooks)
set_tests_properties(live.refused_hooks.bpf PROPERTIES TIMEOUT 300)
tcpwhy_add_live_test(watch_reasons)
tcpwhy_add_live_test(watch_owners)
tcpwhy_add_live_test(watch_rate)
tcpwhy_add_live_test(many_sockets)
tcpwhy_add_live_test(ps_shows)
tcpwhy_add_live_test(hostile_symbols)
set_tests_properties(live.hostile_symbols.bpf PROPERTIES TIMEOUT 300)

# In namespaces of its own: needs not be alone.
add_test(NAME live.strace_calls COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/live/strace_calls.py
                                        $<TARGET_FILE:tcpwhy>)
set_tests_properties(live.strace_calls PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)

# Its processes are many, and short: beside others its moments would be others.
add_test(NAME live.signals COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tools/stress-signals --rounds 5 --tcpwhy $<TARGET_FILE:tcpwhy>)
set_tests_properties(live.signals PROPERTIES RUN_SERIAL ON SKIP_RETURN_CODE 77 TIMEOUT 180)
