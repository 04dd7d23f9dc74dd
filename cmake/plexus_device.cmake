# Where programs run: sets PLEXUS_RESOLVED_DEVICE to cuda or host, and prepares the CUDA language where it is cuda.
set(PLEXUS_DEVICE auto CACHE STRING
  "Where programs run: cuda, host (the CPU), or auto: cuda only where nvcc and a GPU are present")
set_property(CACHE PLEXUS_DEVICE PROPERTY STRINGS auto cuda host)
if(NOT PLEXUS_DEVICE MATCHES "^(auto|cuda|host)$")
  message(FATAL_ERROR "plexus: PLEXUS_DEVICE is '${PLEXUS_DEVICE}'; choose auto, cuda or host")
endif()

# The compute capabilities of this machine's GPUs, as a list of numbers such as 86.
function(plexus_find_gpus result)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE found RESULT_VARIABLE status ERROR_QUIET)
  set(capabilities "")
  if(status EQUAL 0)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${found}")
    list(TRANSFORM capabilities REPLACE "\\." "")
    list(REMOVE_DUPLICATES capabilities)
  endif()
  set(${result} "${capabilities}" PARENT_SCOPE)
endfunction()

# The architectures plexus supports that `nvcc` can compile for, with PTX for the newest: later GPUs run that.
function(plexus_supported_architectures nvcc result)
  execute_process(COMMAND ${nvcc} --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
  set(architectures "")
  foreach(number 70 75 80 86 89 90 100 120)
    if(known MATCHES "compute_${number}[^0-9]")
      list(APPEND architectures ${number}-real)
      set(newest ${number})
    endif()
  endforeach()
  list(APPEND architectures ${newest}-virtual)
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

find_program(PLEXUS_NVCC nvcc HINTS "${CMAKE_CUDA_COMPILER}" ENV CUDACXX
  PATHS ENV CUDA_PATH ENV CUDA_HOME /usr/local/cuda PATH_SUFFIXES bin DOC "The CUDA compiler")
plexus_find_gpus(plexus_gpus)

set(plexus_device ${PLEXUS_DEVICE})
if(PLEXUS_DEVICE STREQUAL auto)
  if(PLEXUS_NVCC AND plexus_gpus)
    set(plexus_device cuda)
  else()
    set(plexus_device host)
  endif()
endif()
# In the cache, for the project that has plexus as a subdirectory.
set(PLEXUS_RESOLVED_DEVICE ${plexus_device} CACHE INTERNAL "cuda or host")

if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
  if(NOT PLEXUS_NVCC AND NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "plexus: PLEXUS_DEVICE is cuda but there is no nvcc; put it on the PATH, set "
      "CMAKE_CUDA_COMPILER, or choose PLEXUS_DEVICE=host")
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER "${PLEXUS_NVCC}" CACHE FILEPATH "The CUDA compiler")
  endif()
  # To be known before the language is enabled: the compiler's own default may be one that it no longer supports.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(plexus_architectures ${plexus_gpus})
    if(NOT plexus_architectures)
      plexus_supported_architectures("${CMAKE_CUDA_COMPILER}" plexus_architectures)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES "${plexus_architectures}" CACHE STRING "Compute capabilities to compile for" FORCE)
  endif()
endif()
