// What Cast keeps of each process. Private to cast*.cc.
#pragma once

#include "lab/agents/cast.h"

namespace tcpwhy::lab {

struct HandledSignal {
  int number = 0;
  base::WallTime at;
};

struct NamedDescriptor {
  std::int32_t fd = -1;  // stays after close(), so that the next call with it gets its real EBADF
  SocketInfo socket;
};

struct Cast::Thread {
  std::string who;           // "client.reader"
  recording::ActorId actor;  // valid once it has told its numbers
  std::optional<Batch> batch;
};

struct Cast::Process {
  std::string name;
  std::optional<Agent> agent;
  std::vector<Thread> threads;
  bool started = false;
  bool became_program = false;                       // by exec(): nobody takes calls any more
  std::map<std::int32_t, SocketInfo> descriptors;    // open ones
  std::map<std::string, NamedDescriptor> variables;  // "": the latest connection; "listener"
  std::uint32_t signals_taken = 0;
  std::vector<HandledSignal> handled;
  std::optional<int> end_status;  // waitpid(2)
};

}  // namespace tcpwhy::lab
