# src/<room>/fuzz/NAME_fuzz.cc defines LLVMFuzzerTestOneInput. It becomes
#   fuzz_NAME_replay  in the ordinary build: runs it over fuzz/corpus/NAME/ (seeds), fuzz/corpora/NAME/ (found by
#                     tools/fuzz nightly) and some thousands of seeded mutations of those files, as a test;
#   fuzz_NAME         with -DTCPWHY_FUZZ=ON and clang: the libFuzzer program (tools/fuzz NAME builds and runs it).
if(TCPWHY_FUZZ AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "TCPWHY_FUZZ needs clang: -DCMAKE_CXX_COMPILER=clang++-19; tools/fuzz does this")
endif()
set(fuzz_replay_main ${CMAKE_CURRENT_LIST_DIR}/fuzz_replay_main.cc)

function(tcpwhy_add_fuzzer source room_target)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${name})
  set(corpora ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpora/${name})
  if(TCPWHY_FUZZ)
    add_executable(fuzz_${name} ${source})
    target_link_libraries(fuzz_${name} PRIVATE ${room_target} tcpwhy_flags)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
  if(TCPWHY_TESTS)
    add_executable(fuzz_${name}_replay ${source} ${fuzz_replay_main})
    target_link_libraries(fuzz_${name}_replay PRIVATE ${room_target} tcpwhy_flags)
    add_test(NAME fuzz.${name} COMMAND fuzz_${name}_replay ${corpora})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
