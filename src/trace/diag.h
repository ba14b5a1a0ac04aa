// sock_diag, TCP_INFO and the MIB: what can be known of the kernel's states without any privilege.
#pragma once

#include "trace/counter_sampler.h"
#include "trace/socket_sampler.h"
#include "trace/state_tracker.h"
