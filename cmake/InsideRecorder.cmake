# What src/trace/ptrace/inside maps into a traced process: MACHINE/program/recorder.{S,c}, compiled without any library, linked to its fixed
# address and turned into build/generated-system/trace/ptrace/inside/recorder_code.h:
#
#   inline constexpr unsigned char recorder_code[] = {0x50, ...};
#
# Run by itself (cmake -D CODE=file -D OUTPUT=file -P InsideRecorder.cmake) it writes that header.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${CODE} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n"
                       bytes "${bytes}")
  file(WRITE ${OUTPUT} "// Made by cmake/InsideRecorder.cmake from src/trace/ptrace/inside/x86_64/program.
#pragma once

namespace tcpwhy::trace {

inline constexpr unsigned char recorder_code[] = {
${bytes}};

}  // namespace tcpwhy::trace
")
  return()
endif()

find_program(LINKER ld REQUIRED)
find_program(OBJCOPY objcopy REQUIRED)
set(recorder_script ${CMAKE_CURRENT_LIST_FILE})

function(tcpwhy_build_inside_recorder room_target)
  if(NOT TCPWHY_MACHINE STREQUAL "x86_64")
    return()  # there is none for others (src/trace/machine/machine.h: has_recorder)
  endif()
  set(sources ${CMAKE_CURRENT_SOURCE_DIR}/src/trace/ptrace/inside)
  set(folder ${CMAKE_BINARY_DIR}/generated-system/trace/ptrace/inside)
  set(object ${CMAKE_BINARY_DIR}/recorder)
  file(MAKE_DIRECTORY ${folder})
  # It runs in the middle of another program: nothing but general registers, nothing that calls into a library.
  add_custom_command(
    OUTPUT ${folder}/recorder_code.h
    COMMAND ${CLANG} -O2 -ffreestanding -fno-pic -mcmodel=small -mgeneral-regs-only -fno-stack-protector -fno-jump-tables
            -fno-asynchronous-unwind-tables -fcf-protection=none -I ${CMAKE_CURRENT_SOURCE_DIR}/src -Wall -Wextra -Werror
            -c ${sources}/x86_64/program/recorder.c -o ${object}_c.o
    COMMAND ${CLANG} -c ${sources}/x86_64/program/recorder.S -o ${object}_s.o
    COMMAND ${LINKER} -T ${sources}/x86_64/program/recorder.ld ${object}_s.o ${object}_c.o -o ${object}.elf
    COMMAND ${OBJCOPY} -O binary ${object}.elf ${object}.bin
    COMMAND ${CMAKE_COMMAND} -D CODE=${object}.bin -D OUTPUT=${folder}/recorder_code.h -P ${recorder_script}
    DEPENDS ${sources}/x86_64/program/recorder.c ${sources}/x86_64/program/recorder.S ${sources}/x86_64/program/recorder.ld ${sources}/protocol.h
            ${CMAKE_CURRENT_SOURCE_DIR}/src/calls/taken_piece.h ${recorder_script}
    COMMENT "Compiling the recorder that runs inside a traced process")
  add_custom_target(tcpwhy_inside_recorder DEPENDS ${folder}/recorder_code.h)
  target_include_directories(${room_target} SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/generated-system)
  add_dependencies(${room_target} tcpwhy_inside_recorder)
endfunction()
