# One place for the flags that every target of ours gets; outside headers come in as system headers.
add_library(tcpwhy_flags INTERFACE)
target_compile_definitions(tcpwhy_flags INTERFACE TCPWHY_VERSION="${PROJECT_VERSION}")
target_compile_options(tcpwhy_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wold-style-cast -Wimplicit-fallthrough -Werror
  -Wno-missing-field-initializers)  # a designated initializer leaves fields out on purpose
# GCC 12 reports false positives of these two inside libstdc++ and fmt when optimising.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(tcpwhy_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow)
endif()
# GCC 12 empties and copies what is longer than some registers by "rep stos" and "rep movs": on every segment's way there
# are some of a few hundred bytes, and with loops instead captures are read 3 to 7 % faster.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|i[3-6]86)$")
  target_compile_options(tcpwhy_flags INTERFACE -mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign
                                                -mmemcpy-strategy=vector_loop:512:noalign,libcall:-1:noalign)
endif()
# Clang complains of libstdc++ 12's own std::stable_sort, which still uses get_temporary_buffer().
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tcpwhy_flags INTERFACE -Wno-deprecated-declarations)
endif()
if(TCPWHY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TCPWHY_SANITIZE OR TCPWHY_FUZZ)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
