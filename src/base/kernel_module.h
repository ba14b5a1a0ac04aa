// What to do where a module of the kernel is missing. The kernel loads most by itself when they are asked for (modprobe(8)), but not in a
// container, nor where that is switched off; and only root can.
#pragma once

#include <string>
#include <string_view>

#include "base/language.h"

namespace tcpwhy::base {

// A hint: the command, where the running kernel's modules (below `modules`, /lib/modules/RELEASE) have one of that name, and who can give
// it, if not we; else how the kernel must have been built: `config`.
OwnedText how_to_get_module(std::string_view name, std::string_view config, const std::string& modules, bool root);
OwnedText how_to_get_module(std::string_view name, std::string_view config);

}  // namespace tcpwhy::base
