# The kernel's half of src/trace/bpf: clang compiles program/probe.bpf.c for the BPF machine, bpftool turns the object into a
# skeleton header, build/generated-system/trace/bpf/probe.skel.h, which carries the program inside and which only
# src/trace/bpf/probe.cc includes. Nothing of the running kernel's goes into it: libbpf adapts the program when it is loaded.
find_program(CLANG NAMES clang clang-19 clang-14 REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(LLVM_STRIP NAMES llvm-strip llvm-strip-19 llvm-strip-14)

# Whose registers it reads (src/trace/machine/kernel_registers.bpf.h), as bpf_tracing.h calls it.
if(TCPWHY_MACHINE STREQUAL "x86_64")
  set(bpf_target_arch x86)
elseif(TCPWHY_MACHINE STREQUAL "arm64")
  set(bpf_target_arch arm64)
endif()

function(tcpwhy_build_bpf_probe room_target)
  set(sources ${CMAKE_CURRENT_SOURCE_DIR}/src/trace/bpf/program)
  file(GLOB headers CONFIGURE_DEPENDS ${sources}/*.h)
  file(GLOB machine_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/trace/machine/*.h)
  set(folder ${CMAKE_BINARY_DIR}/generated-system/trace/bpf)
  set(object ${CMAKE_BINARY_DIR}/probe.bpf.o)
  set(skeleton ${folder}/probe.skel.h)
  file(MAKE_DIRECTORY ${folder})
  # -g: CO-RE needs the types; the debug information itself is not loaded and stripped where llvm-strip is there.
  set(strip_command COMMAND ${CMAKE_COMMAND} -E true)
  if(LLVM_STRIP)
    set(strip_command COMMAND ${LLVM_STRIP} -g ${object})
  endif()
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${CLANG} -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_${bpf_target_arch} -Wall -Werror
            -I ${CMAKE_CURRENT_SOURCE_DIR}/src -c ${sources}/probe.bpf.c -o ${object}
    ${strip_command}
    COMMAND ${BPFTOOL} gen skeleton ${object} name probe >${skeleton}
    DEPENDS ${sources}/probe.bpf.c ${headers} ${CMAKE_CURRENT_SOURCE_DIR}/src/calls/taken_piece.h ${machine_headers}
    COMMENT "Compiling the BPF probe")
  add_custom_target(tcpwhy_bpf_probe DEPENDS ${skeleton})
  target_include_directories(${room_target} SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/generated-system)
  add_dependencies(${room_target} tcpwhy_bpf_probe)
endfunction()
