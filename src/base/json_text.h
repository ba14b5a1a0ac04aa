// JSON that is shown on a terminal too.
#pragma once

#include <string>

namespace tcpwhy::base {

// `json`, well-formed UTF-8 as a JSON library writes it, with what escape_controls() would take out and JSON lets stand in strings
// (DEL, C1, what reorders text or breaks lines) as \uXXXX: the same document, and nothing that acts on a terminal.
std::string escape_controls_in_json(std::string json);

}  // namespace tcpwhy::base
