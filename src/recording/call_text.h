// The line of a call in pieces.
#pragma once

#include <string>

#include "recording/event.h"

namespace tcpwhy::recording {

// What stands behind the closing parenthesis of call_line(): " = 5", " = -1 EPIPE (Broken pipe)", " = 1 (POLLIN)". Safe for a terminal.
std::string call_result(const CallEntered& entered, const CallReturned& returned);

}  // namespace tcpwhy::recording
