# bash completion for psctl(1): commands and flags from psctl's own tables, numbers of jobs, names of
# models and of what jobs have left from the server, which has a second to answer.

_psctl_models() { # the connection's flags are taken over from the line
    "$1" "${connection[@]}" --timeout 1s __complete models 2>/dev/null
}

_psctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} psctl=${COMP_WORDS[0]}
    local i word command='' group='' operands=0 takes='' flag
    local -a connection=() flags=()
    psctl=${psctl/#\~/$HOME}
    COMPREPLY=()
    mapfile -t flags < <("$psctl" __complete flags 2>/dev/null)

    # what stands before the cursor: the command, its operands, and how to reach the server
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --server | --ca | --cert | --key | --context)
            # a value may be several words of readline's: localhost : 7600
            local value=${COMP_WORDS[i + 1]:-}
            [[ $value == = ]] && ((i++)) && value=${COMP_WORDS[i + 1]:-}
            ((i++))
            while [[ ${COMP_WORDS[i + 1]:-} == : && i+1 -lt COMP_CWORD ]]; do
                value+=:${COMP_WORDS[i + 2]:-}
                ((i += 2))
            done
            connection+=("$word" "$value")
            ;;
        -*)
            for flag in "${flags[@]}"; do
                [[ $flag == "$word "* ]] && ((i++)) && break
            done
            [[ $word == -o ]] && ((i++))
            ;;
        = | :) ;;
        *)
            if [[ -z $command && -z $group ]]; then
                case $word in
                cert | context) group=$word ;;
                *) command=$word ;;
                esac
                [[ -n $command ]] && mapfile -t flags < <("$psctl" __complete flags "$command" 2>/dev/null)
            elif [[ -z $command ]]; then
                command="$group $word"
                mapfile -t flags < <("$psctl" __complete flags "$command" 2>/dev/null)
            else
                ((operands++))
            fi
            ;;
        esac
    done

    # the value of a flag: its words, a context, or a file
    [[ $cur == = ]] && cur=
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
    for flag in "${flags[@]}"; do
        [[ $flag == "$prev "* ]] && takes=${flag#"$prev "}
    done
    [[ $prev == -o && $command == export ]] && takes=FILE
    if [[ -n $takes ]]; then
        case $takes in
        FILE) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && compopt -o filenames 2>/dev/null ;;
        DIR) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && compopt -o filenames 2>/dev/null ;;
        *)
            [[ $prev == --context ]] && takes=$("$psctl" __complete contexts 2>/dev/null)
            [[ $takes =~ ^[A-Z:|]+$ ]] || mapfile -t COMPREPLY < <(compgen -W "$takes" -- "$cur")
            ;;
        esac
        return
    fi

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' "${flags[@]%% *}")" -- "$cur")
        return
    fi
    case $group:$command:$operands in
    ::0) takes=$("$psctl" __complete commands 2>/dev/null) ;;
    cert::0 | context::0) takes=$("$psctl" __complete commands "$group" 2>/dev/null) ;;
    :job:0 | :watch:0 | :cancel:0 | :artifacts:0 | :fetch:0 | :delete-job:* | :delete-artifact:0)
        takes=$("$psctl" "${connection[@]}" --timeout 1s __complete jobs 2>/dev/null)
        ;;
    :fetch:1 | :delete-artifact:1)
        takes=$("$psctl" "${connection[@]}" --timeout 1s __complete artifacts "$prev" 2>/dev/null)
        ;;
    :model:0 | :report:0 | :compare:0 | :compare:1 | :diff:0 | :diff:1 | :explain:0 | :export:0 | :delete:0 | :evaluate:0 | :predict:0 | :embed:0 | :generate:0 | :chat:0 | :import:1) takes=$(_psctl_models "$psctl") ;;
    :help:0) takes=$("$psctl" __complete commands 2>/dev/null) ;;
    :help:1) [[ $prev == cert || $prev == context ]] && takes=$("$psctl" __complete commands "$prev" 2>/dev/null) ;;
    "context:context use:0" | "context:context set:0") takes=$("$psctl" __complete contexts 2>/dev/null) ;;
    :submit:0 | :import:0 | :inspect:0 | :tokenize:* | :evaluate:* | :explain:* | :diff:* | :predict:* | :embed:* | "cert:cert inspect:"*)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        return
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$takes" -- "$cur")
}

complete -F _psctl psctl
