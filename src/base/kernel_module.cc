#include "base/kernel_module.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

namespace tcpwhy::base {
namespace {

// modules.dep(5): "kernel/net/ipv4/tcp_diag.ko.xz: kernel/net/ipv4/inet_diag.ko.xz". In names of modules - and _ are the same.
bool has_module(const std::string& modules, std::string_view name) {
  std::ifstream file(modules + "/modules.dep");
  for (std::string line; std::getline(file, line);) {
    std::string_view path = std::string_view(line).substr(0, line.find(':'));
    path = path.substr(path.rfind('/') + 1);
    std::string module(path.substr(0, path.find(".ko")));
    for (char& c : module) c = c == '-' ? '_' : c;
    if (module == name) return true;
  }
  return false;
}

}  // namespace

std::string how_to_get_module(std::string_view name, std::string_view config, const std::string& modules, bool root) {
  if (!has_module(modules, name))
    return fmt::format("this kernel has no module {}: it must be built with {}", name, config);
  if (root) return fmt::format("its module is not loaded: modprobe {}", name);
  return fmt::format("its module is not loaded; who administers this machine can: modprobe {}", name);
}

std::string how_to_get_module(std::string_view name, std::string_view config) {
  utsname system{};
  uname(&system);
  return how_to_get_module(name, config, fmt::format("/lib/modules/{}", system.release), geteuid() == 0);
}

}  // namespace tcpwhy::base
