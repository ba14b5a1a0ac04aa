# The files below scenarios/ travel inside the program: they become build/generated/lab/scenario_files.h, which only
# src/lab includes (#include "lab/scenario_files.h"). It holds, in order of the names,
#
#   inline constexpr std::array<EmbeddedScenario, N> scenario_files = {{{"1-open/handshake", R"(the text)"}, ...}};
#
# Run by itself (cmake -D SCENARIOS=folder -D OUTPUT=file -P EmbedScenarios.cmake) it writes that file.
if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB_RECURSE files RELATIVE ${SCENARIOS} ${SCENARIOS}/*.tcp)
  list(SORT files)
  list(LENGTH files count)
  set(rows "")
  foreach(file IN LISTS files)
    file(READ ${SCENARIOS}/${file} text)
    string(REGEX REPLACE "\\.tcp$" "" name "${file}")
    string(APPEND rows "    {R\"~(${name})~\", R\"~tcpwhy~(${text})~tcpwhy~\"},\n")
  endforeach()
  file(WRITE ${OUTPUT} "// Made by cmake/EmbedScenarios.cmake from scenarios/.
#pragma once

#include <array>
#include <string_view>

namespace tcpwhy::lab {

struct EmbeddedScenario {
  std::string_view name;  // the path below scenarios/, without .tcp
  std::string_view text;  // the whole file
};

inline constexpr std::array<EmbeddedScenario, ${count}> scenario_files = {{
${rows}}};

}  // namespace tcpwhy::lab
")
  return()
endif()

set(embed_script ${CMAKE_CURRENT_LIST_FILE})
function(tcpwhy_embed_scenarios room_target)
  set(header ${CMAKE_BINARY_DIR}/generated/lab/scenario_files.h)
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/scenarios)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*.tcp)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${CMAKE_COMMAND} -D SCENARIOS=${folder} -D OUTPUT=${header} -P ${embed_script}
    DEPENDS ${files} ${embed_script}
    COMMENT "Embedding scenarios/")
  add_custom_target(tcpwhy_scenario_files DEPENDS ${header})
  get_target_property(kind ${room_target} TYPE)
  if(kind STREQUAL "INTERFACE_LIBRARY")
    target_include_directories(${room_target} INTERFACE ${CMAKE_BINARY_DIR}/generated)
  else()
    target_include_directories(${room_target} PUBLIC ${CMAKE_BINARY_DIR}/generated)
  endif()
  add_dependencies(${room_target} tcpwhy_scenario_files)
endfunction()
